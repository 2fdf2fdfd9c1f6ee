"""`sidecar call`: any method of the protocol, JSON in and out."""

import argparse
import sys

import msgspec

from sidecar.cli.attach import add_engine_arguments, open_engine
from sidecar.cli.exit_codes import OK
from sidecar.cli.output import print_json, print_json_line
from sidecar.errors import InvalidParams

EXAMPLES = """\
examples:
  sidecar call engine.info
  sidecar call tokens.encode '{"text": "Hello"}'
  sidecar call chat.create '{"messages": [{"role": "user", "content": "Hi"}]}' --stream
  echo '{"model": "smollm2-135m"}' | sidecar call models.load -

With --stream every line is one event, told from the result, which is last, by its "type".
"""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Its arguments."""
    parser = commands.add_parser(
        "call",
        help="call a method",
        description="Call a method of the protocol; its result is printed as JSON.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("method", metavar="METHOD", help="namespace.name, such as engine.info")
    parser.add_argument(
        "params", metavar="JSON", nargs="?", default="{}", help="its params; - reads them from stdin"
    )
    parser.add_argument("--stream", action="store_true", help="print events as they come, one a line")
    parser.add_argument("--deadline", type=float, metavar="SECONDS", help="end the request after so long")
    add_engine_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Call it and print what comes back."""
    params = read_params(sys.stdin.read() if arguments.params == "-" else arguments.params)
    with open_engine(arguments) as engine:
        if not arguments.stream:
            print_json(engine.call(arguments.method, params, deadline_seconds=arguments.deadline))
            return OK
        with engine.stream(arguments.method, params, deadline_seconds=arguments.deadline) as stream:
            for event in stream:
                print_json_line(event)
            print_json_line(stream.result())
    return OK


def read_params(text: str) -> dict[str, object]:
    """A JSON object. Raises InvalidParams."""
    try:
        return msgspec.json.decode(text, type=dict[str, object])
    except msgspec.DecodeError as error:
        raise InvalidParams(f"the params are no JSON object: {error}") from error
