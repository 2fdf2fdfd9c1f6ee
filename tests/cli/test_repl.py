"""A conversation on a terminal, with an engine of its own."""

from collections.abc import Iterator, Mapping

import psutil
import pytest

from tests.cli.conftest import COMMAND
from tests.support.terminal import Terminal


@pytest.fixture
def terminal(environment: Mapping[str, str]) -> Iterator[Terminal]:
    with Terminal(
        [*COMMAND, "chat", "--executor", "scripted", "--max-tokens", "2000"], environment
    ) as terminal:
        terminal.expect("/help says")
        terminal.expect("> ")
        yield terminal


def test_several_turns_commands_and_the_way_out(terminal: Terminal) -> None:
    terminal.type("count 5")
    terminal.expect("1 2 3 4 5\n> ")
    terminal.type("/help")
    terminal.expect("forget what was said")
    terminal.expect("> ")
    terminal.type("/nonsense")
    terminal.expect("there is no /nonsense")
    terminal.type("/stats")
    terminal.expect("figures on")
    terminal.type("again")
    terminal.expect("again\nagain\n")
    terminal.expect("tokens in")
    terminal.type("/exit")
    assert terminal.wait() == 0


def test_what_was_said_is_sent_along_until_it_is_forgotten(terminal: Terminal) -> None:
    terminal.type("/stats")
    terminal.type("one")
    first = prompt_tokens(terminal)
    terminal.type("one")
    assert prompt_tokens(terminal) > first
    terminal.type("/clear")
    terminal.expect("[forgotten]")
    terminal.type("one")
    assert prompt_tokens(terminal) == first
    assert terminal.leave_with_ctrl_d() == 0


def test_ctrl_c_stops_the_answer_and_not_the_conversation(terminal: Terminal) -> None:
    terminal.type("slow 5 talk")
    terminal.expect("la la la")
    terminal.press_ctrl_c()
    terminal.expect("[stopped]\n> ")
    terminal.press_ctrl_c_until("Ctrl-D or /exit leaves")
    terminal.expect("> ")
    terminal.type("count 2")
    terminal.expect("1 2\n> ")
    assert terminal.leave_with_ctrl_d() == 0


def test_an_answer_that_fails_is_one_line_and_the_conversation_goes_on(terminal: Terminal) -> None:
    terminal.type("fail")
    terminal.expect("sidecar: ")
    terminal.expect("> ")
    terminal.type("count 2")
    terminal.expect("1 2\n> ")
    assert "Traceback" not in terminal.printed
    assert terminal.leave_with_ctrl_d() == 0


def test_an_engine_that_is_killed_is_started_again(terminal: Terminal) -> None:
    (engine,) = psutil.Process(terminal.process.pid).children()
    terminal.type("slow 5 talk")
    terminal.expect("la la")
    engine.kill()
    terminal.expect("killed by SIGKILL")
    terminal.expect("started again")
    terminal.type("count 2")
    terminal.expect("1 2\n")
    assert terminal.leave_with_ctrl_d() == 0


def prompt_tokens(terminal: Terminal) -> int:
    terminal.expect("[default · ")
    begin = len(terminal.printed[: terminal.position])
    terminal.expect(" tokens in")
    return int(terminal.printed[begin : terminal.position].split()[0])
