"""A conversation on a terminal, line by line."""

import argparse
import contextlib
import importlib
import sys

from sidecar.cli.attach import open_engine
from sidecar.cli.conversation import Conversation, Turn, sampling
from sidecar.cli.exit_codes import OK, exit_code
from sidecar.cli.output import note
from sidecar_client.errors import EngineError, EngineLost

PROMPT = "> "
HELP = """\
/clear   forget what was said
/stats   show or hide times and tokens after each answer
/help    this
/exit    leave; so does Ctrl-D
Ctrl-C   stop the answer"""


def converse(arguments: argparse.Namespace) -> int:
    """Read lines and answer them until /exit or Ctrl-D. Returns the exit code."""
    # Imported for what it does to input(): editing and history. Windows has none.
    with contextlib.suppress(ImportError):
        importlib.import_module("readline")

    with open_engine(arguments) as engine:
        note(f"llm-sidecar {engine.welcome.version}; /help says what else there is")
        conversation = Conversation(engine, arguments.model, arguments.system, sampling(arguments))
        with_figures = arguments.stats
        while (line := read_line()) is not None:
            match line.strip():
                case "":
                    pass
                case "/exit" | "/quit":
                    break
                case "/help":
                    print(HELP)
                case "/clear":
                    conversation.clear()
                    note("[forgotten]")
                case "/stats":
                    with_figures = not with_figures
                    note(f"[figures {'on' if with_figures else 'off'}]")
                case command if command.startswith("/"):
                    note(f"there is no {command.split()[0]}; /help says what there is")
                case message:
                    lost = _answer(conversation, message, with_figures=with_figures)
                    if lost is not None:
                        return exit_code(lost)
    return OK


def read_line() -> str | None:
    """A line; empty after Ctrl-C, None at the end of the input."""
    try:
        return input(PROMPT)
    except EOFError:
        print()
        return None
    except KeyboardInterrupt:
        print()
        note("[Ctrl-D or /exit leaves]")
        return ""


def _answer(conversation: Conversation, message: str, *, with_figures: bool) -> EngineLost | None:
    """Answer one message; returns the loss of an engine that does not come back."""
    turn = Turn(conversation, message)
    try:
        turn.answer()
    except KeyboardInterrupt:
        note("[stopped]")
    except EngineError as error:
        note(f"sidecar: {error.message}")
        if isinstance(error, EngineLost) and not error.may_have_executed:
            return error
    if with_figures:
        turn.show_figures()
    sys.stdout.flush()
    return None
