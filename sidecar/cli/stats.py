"""`sidecar stats`: what an engine that runs uses and does."""

import argparse
import contextlib
import sys
import time
from typing import TYPE_CHECKING

from sidecar.cli.attach import add_engine_arguments, attach_engine
from sidecar.cli.exit_codes import OK
from sidecar.cli.output import bytes_text, executor_text, out, print_json, print_json_line, printable
from sidecar_client import SyncEngine
from sidecar_protocol.engine import EngineStats

if TYPE_CHECKING:
    from rich.console import Group

REFRESH_SECONDS = 1.0

EXAMPLES = """\
examples:
  sidecar stats
  sidecar stats --watch
  sidecar stats --json | jq .resident_bytes
"""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Its arguments."""
    parser = commands.add_parser(
        "stats",
        help="memory, requests and tokens of an engine that runs",
        description="Memory, requests and tokens of an engine that runs with --socket.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--watch", action="store_true", help="again every second, until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="JSON; with --watch one line a second")
    add_engine_arguments(parser, may_spawn=False)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask once or every second."""
    with attach_engine(arguments) as engine:
        if arguments.watch:
            # Ctrl-C is how a watch ends.
            with contextlib.suppress(KeyboardInterrupt):
                _watch(engine, as_json=arguments.json or not sys.stdout.isatty())
        elif arguments.json:
            print_json(engine.stats())
        else:
            out().print(describe(engine.stats()))
    return OK


def _watch(engine: SyncEngine, *, as_json: bool) -> None:
    if as_json:
        while True:
            print_json_line(engine.stats())
            time.sleep(REFRESH_SECONDS)
    from rich.live import Live

    with Live(describe(engine.stats()), console=out(), auto_refresh=False) as live:
        while True:
            time.sleep(REFRESH_SECONDS)
            live.update(describe(engine.stats()), refresh=True)


def describe(stats: EngineStats) -> "Group":
    """The figures for a person."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    process = Text(
        f"up {duration_text(stats.uptime_ms)} · {bytes_text(stats.resident_bytes)} resident · "
        f"{duration_text(stats.cpu_ms)} of CPU · {stats.connections} connections · "
        f"{stats.active_requests} requests"
    )
    if not stats.models:
        return Group(process, Text("no model is loaded", style="dim"))
    table = Table(box=None, pad_edge=False)
    for name in ("model", "executor", "running", "waiting", "prompt", "cached", "generated", "blocks"):
        table.add_column(name, justify="left" if name in ("model", "executor") else "right")
    for model in stats.models:
        table.add_row(
            Text(printable(model.name, True), style="bold"),
            f"{executor_text(model)}, {model.quantization}",
            str(model.running),
            str(model.waiting),
            str(model.prompt_tokens),
            str(model.cached_tokens),
            str(model.completion_tokens),
            f"{model.blocks.used}+{model.blocks.cached}/{model.blocks.total}",
        )
    return Group(process, table)


def duration_text(milliseconds: int) -> str:
    """A duration for a person."""
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02} min"
