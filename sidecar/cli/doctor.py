"""`sidecar doctor`: is everything there that is needed, and does it work?"""

import argparse
import platform
import sys
from collections.abc import Iterator

from sidecar import __version__
from sidecar.cli.attach import CLI_APP_ID, add_start_arguments, start_options
from sidecar.cli.checks import (
    Check,
    check_executors,
    check_folders,
    check_model,
    check_native,
    check_packages,
)
from sidecar.cli.exit_codes import FAILED, OK
from sidecar.cli.output import out, print_json
from sidecar.cli.self_test import self_test
from sidecar.config import Settings

EXAMPLES = """\
examples:
  sidecar doctor
  sidecar doctor --quick                   without the self-test
  sidecar doctor --model-dir ~/models --model my-model
"""

_MARKS = {True: ("✓", "green"), False: ("✗", "bold red")}


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Its arguments."""
    parser = commands.add_parser(
        "doctor",
        help="check this installation",
        description="Check packages, folders and models, then start an engine, load a model and chat.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", default="default", help="the model to test with")
    parser.add_argument("--quick", action="store_true", help="start no engine")
    parser.add_argument("--json", action="store_true", help="the checks as JSON")
    add_start_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show each check as it is done; 0 when nothing needed is broken."""
    done: list[Check] = []
    console = None if arguments.json else out()
    for check in _checks(arguments):
        done.append(check)
        if console is not None:
            mark, style = _MARKS[check.passed]
            console.print(f"[{style}]{mark}[/] [bold]{check.name:<12}[/] ", end="")
            console.print(check.finding, markup=False)
            if check.remedy:
                console.print(f"{'':15}→ {check.remedy}", markup=False)
    if console is None:
        print_json(done)
    return OK if all(check.passed for check in done) else FAILED


def _checks(arguments: argparse.Namespace) -> Iterator[Check]:
    options = start_options(arguments)
    settings = Settings.from_options({**options, "app_id": CLI_APP_ID})
    machine = f"{sys.platform} {platform.machine()}"
    yield Check("system", f"llm-sidecar {__version__} · Python {platform.python_version()} · {machine}")
    needed = [
        *check_packages(),
        *check_executors(settings.executor),
        check_native(settings.kernel_path),
        *check_folders(settings),
        check_model(arguments.model, settings),
    ]
    yield from needed
    if not arguments.quick and all(check.passed for check in needed):
        yield from self_test(options, arguments.model)
