"""The `sidecar` command: arguments to one function each, and every error to one line and an exit code."""

import argparse
import sys
from collections.abc import Sequence

from sidecar import __version__
from sidecar.cli import call, chat, doctor, models, socket, stats, watch
from sidecar.cli.exit_codes import BROKEN_PIPE, DESCRIPTION, INTERRUPTED, USAGE, exit_code
from sidecar.cli.output import leave_stdout, note
from sidecar.errors import SidecarError
from sidecar_client.errors import EngineError

EXAMPLES = """\
examples:
  sidecar chat "What is photosynthesis? Answer briefly."
  sidecar chat                             a conversation; /help says more
  git diff | sidecar chat --system "Summarise this change." -
  sidecar --socket                         an engine to attach to, until Ctrl-C
  sidecar watch                            what it and its hosts say to each other
  sidecar call tokens.count '{"text": "Hello"}'
  sidecar doctor                           is everything there that is needed?

Without arguments it is what an application starts: it reads its spawn line from stdin.
"""


def build_parser() -> argparse.ArgumentParser:
    """Every command with its help."""
    parser = argparse.ArgumentParser(
        prog="sidecar",
        description="Private LLM inference in one process beside your application.",
        epilog=f"{EXAMPLES}\n{DESCRIPTION}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"llm-sidecar {__version__}")
    parser.add_argument(
        "--socket",
        action="store_true",
        help="be an engine to attach to, until Ctrl-C; `sidecar --socket --help` says more",
    )
    commands = parser.add_subparsers(metavar="COMMAND", title="commands")
    for command in (chat, call, watch, models, stats, doctor):
        command.add_command(commands)
    return parser


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns its exit code."""
    if arguments and arguments[0].partition("=")[0] == "--socket":
        command, parsed = socket.run, socket.build_parser().parse_args(arguments)
    else:
        parser = build_parser()
        parsed = parser.parse_args(arguments)
        if not hasattr(parsed, "run"):
            parser.print_usage(sys.stderr)
            return USAGE
        command = parsed.run
    try:
        code: int = command(parsed)
    except (EngineError, SidecarError) as error:
        note(f"sidecar: {error.message}")
        return exit_code(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        leave_stdout()
        return BROKEN_PIPE
    return code
