"""`sidecar models`: the models on this computer, in memory, and converted."""

import argparse
import sys

from sidecar.cli import model_cache
from sidecar.cli.attach import add_engine_arguments, attach_engine, open_engine
from sidecar.cli.exit_codes import OK
from sidecar.cli.output import LoadingBar, bytes_text, executor_text, note, out, print_json, printable
from sidecar_protocol.models import ModelStatus

EXAMPLES = """\
examples:
  sidecar models
  sidecar models --model-dir ~/models
  sidecar models load smollm2-135m
  sidecar models unload smollm2-135m
  sidecar models cache --clean
"""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Its arguments."""
    parser = commands.add_parser(
        "models",
        help="list, load and unload models",
        description="The models on this computer; without an action they are listed.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_common(parser, list_models)
    actions = parser.add_subparsers(metavar="ACTION", title="actions")
    _add_common(actions.add_parser("list", help="the models that can be loaded"), list_models)
    load = actions.add_parser("load", help="bring one into memory, and convert it where that is needed")
    load.add_argument("name", metavar="NAME", help="a model's name or path")
    _add_common(load, load_model)
    unload = actions.add_parser("unload", help="take one out of an engine's memory")
    unload.add_argument("name", metavar="NAME")
    add_engine_arguments(unload, may_spawn=False)
    unload.set_defaults(run=unload_model)
    model_cache.add_command(actions)


def _add_common(parser: argparse.ArgumentParser, run: object) -> None:
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    add_engine_arguments(parser)
    parser.set_defaults(run=run)


def list_models(arguments: argparse.Namespace) -> int:
    """A table of what the engine finds."""
    with open_engine(arguments) as engine:
        found = engine.models.list()
    if arguments.json:
        print_json(found)
        return OK
    if not found.models:
        note("sidecar: no model was found; name a folder that holds some with --model-dir")
        return OK
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in ("name", "size", "format", "origin", "loaded", "path"):
        table.add_column(name, justify="right" if name == "size" else "left", overflow="fold")
    for model in found.models:
        table.add_row(
            Text(printable(model.name, True), style="bold"),
            bytes_text(model.file_bytes),
            model.file_format,
            model.origin,
            "yes" if model.loaded else "",
            Text(printable(model.path, True), style="dim"),
        )
    out().print(table)
    return OK


def load_model(arguments: argparse.Namespace) -> int:
    """Load it, and show how that goes."""
    with open_engine(arguments) as engine:
        with LoadingBar() as loading, engine.models.load_stream(arguments.name) as stream:
            for event in stream:
                loading.show(event)
            status = stream.result()
        if arguments.json:
            print_json(status)
        else:
            print(describe(status))
        if engine.pid is not None:
            note("sidecar: its engine ends here; one that keeps it in memory is `sidecar --socket`")
    return OK


def unload_model(arguments: argparse.Namespace) -> int:
    """Take it out of memory."""
    with attach_engine(arguments) as engine:
        engine.models.unload(arguments.name)
    return OK


def describe(status: ModelStatus) -> str:
    """A loaded model in one line."""
    return printable(
        f"{status.name}: {status.state} · {executor_text(status)} · {status.quantization} · "
        f"context of {status.context_length} tokens",
        sys.stdout.isatty(),
    )
