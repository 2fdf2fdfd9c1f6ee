"""`sidecar --socket`: an engine for debugging that this user's own tools can attach to."""

import argparse
import sys
from pathlib import Path

from sidecar.cli.attach import add_start_arguments, start_options
from sidecar.cli.output import printable
from sidecar_protocol.handshake import ConnectionFile

EXAMPLES = """\
examples:
  sidecar --socket
  sidecar --socket tcp://127.0.0.1:4455 --model-dir ~/models
  sidecar --socket /tmp/sidecar.sock --log-level debug
"""


def build_parser() -> argparse.ArgumentParser:
    """The arguments of `sidecar --socket`."""
    parser = argparse.ArgumentParser(
        prog="sidecar",
        description="Serve this user's own tools until Ctrl-C; several may be attached at once.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--socket",
        nargs="?",
        metavar="PATH | tcp://127.0.0.1:PORT",
        help="a Unix socket or a port to serve at (default: any free port)",
    )
    parser.add_argument("--app-id", default="debug", metavar="ID", help="whose data it uses (default: debug)")
    add_start_arguments(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal or engine.shutdown."""
    from sidecar.app import run_socket

    options = {**start_options(arguments), "app_id": arguments.app_id}
    return run_socket(arguments.socket, options, announce)


def announce(connection: ConnectionFile, path: Path) -> None:
    """Say how to attach."""
    text = f"""\
llm-sidecar {connection.version} serves at {connection.endpoint} (process {connection.pid})
connection file: {path}

  sidecar chat            talk to it
  sidecar watch           see what is said to it
  sidecar call METHOD     call any method
  SyncEngine.connect()    from Python

Several running? Add --connection {path}
Ctrl-C ends it.
"""
    print(printable(text, sys.stdout.isatty()), flush=True)
