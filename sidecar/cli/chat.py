"""`sidecar chat`: one question, or a conversation."""

import argparse
import sys

from sidecar.cli.attach import add_engine_arguments, open_engine
from sidecar.cli.conversation import Conversation, Turn, sampling
from sidecar.cli.exit_codes import OK
from sidecar.cli.output import print_json_line
from sidecar.errors import InvalidParams

EXAMPLES = """\
examples:
  sidecar chat "Name three rivers in Africa." --stats
  sidecar chat --system "Answer in French."
  cat notes.txt | sidecar chat --system "Summarise this." -

It attaches to an engine that runs with --socket when there is one, and otherwise starts its own.
"""


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Its arguments."""
    parser = commands.add_parser(
        "chat",
        help="talk to a model",
        description="Ask one question, or, without MESSAGE, have a conversation.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("message", metavar="MESSAGE", nargs="?", help="what to say; - reads it from stdin")
    parser.add_argument("--model", default="default", help="a model's name or path")
    parser.add_argument("--system", metavar="TEXT", help="how the model should behave")
    parser.add_argument("--temperature", type=float, metavar="T", help="0 is greedy")
    parser.add_argument("--top-p", type=float, metavar="P")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="end the answer after so many tokens")
    parser.add_argument("--seed", type=int, metavar="N", help="the same seed gives the same answer")
    parser.add_argument("--stats", action="store_true", help="times and tokens after each answer, on stderr")
    parser.add_argument(
        "--json", action="store_true", help="the whole completion as JSON instead of its text"
    )
    add_engine_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """One answer, or a conversation when there is no message and stdin is a terminal."""
    message = arguments.message
    if message == "-" or (message is None and not sys.stdin.isatty()):
        message = sys.stdin.read().strip()
        if not message:
            raise InvalidParams("stdin holds no message")
    if message is None:
        if arguments.json:
            raise InvalidParams("--json needs a MESSAGE; a conversation is for people")
        from sidecar.cli.repl import converse

        return converse(arguments)
    with open_engine(arguments) as engine:
        conversation = Conversation(engine, arguments.model, arguments.system, sampling(arguments))
        turn = Turn(conversation, message, silent=arguments.json)
        turn.answer()
        if arguments.json:
            print_json_line(turn.completion)
        if arguments.stats:
            turn.show_figures()
    return OK
