"""The runner catches what it is there to catch."""

import json
import sys
from collections.abc import AsyncIterator

import pytest

from tests.clients.runner.process import DriverProcess
from tests.clients.runner.request import Request
from tests.clients.runner.toolchains import PROGRAMS, DriverProgram

ECHO = "import sys\nfor line in sys.stdin: print({answer!r}, flush=True)"
LEAVE_A_CHILD = """\
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print('{"said": "ready"}', flush=True)
sys.stdin.read()
"""


@pytest.fixture
async def driver() -> AsyncIterator[DriverProcess]:
    started = await DriverProcess.start(PROGRAMS[0].command)
    yield started
    started.kill()


async def program(source: str) -> DriverProcess:
    return await DriverProcess.start([sys.executable, "-c", source])


async def saying(*lines: object) -> DriverProcess:
    """A driver that answers every command with these lines."""
    answer = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return await program(ECHO.format(answer=answer))


async def never(driver: DriverProcess, seconds: float = 10) -> None:
    await driver.wait_for(lambda: None, "miracle", seconds)


@pytest.mark.parametrize("command", [{"do": "dance"}, {"do": "close", "engine": "none"}, {"do": "call"}, {}])
async def test_a_command_that_is_none_ends_the_driver(
    driver: DriverProcess, command: dict[str, object]
) -> None:
    driver.tell(**command)
    with pytest.raises(AssertionError, match="not understood"):
        await never(driver)
    with pytest.raises(AssertionError, match="exited with 3"):
        await driver.end()


async def test_a_driver_that_ends_by_itself_is_reported() -> None:
    driver = await program("import sys; sys.exit('no paper')")
    with pytest.raises(AssertionError, match="output ended"):
        await never(driver)
    with pytest.raises(AssertionError, match="exited with 1"):
        await driver.end()
    assert "no paper" in driver.report()


async def test_what_is_not_of_the_language_is_reported() -> None:
    driver = await saying("hello")
    driver.tell(do="anything")
    with pytest.raises(AssertionError, match="no line of the language: b'hello"):
        await never(driver)
    await driver.end()


async def test_a_wait_has_a_deadline_and_shows_what_was_said() -> None:
    driver = await saying({"said": "little"})
    driver.tell(do="anything")
    with pytest.raises(AssertionError, match=r"(?s)no miracle within 1 s.*anything.*little"):
        await never(driver, 1)
    await driver.end()


RESULT = {"said": "result", "request": "r", "value": 1}
EVENT = {"said": "event", "request": "r", "index": 0, "value": {}}


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ((RESULT, RESULT), "after the end of r"),
        ((RESULT, EVENT), "after the end of r"),
        (({"said": "left", "request": "r"}, EVENT), "after r was left"),
        ((EVENT, EVENT), "out of turn"),
    ],
)
async def test_a_line_that_must_not_come_is_reported(lines: tuple[object, ...], fault: str) -> None:
    driver = await saying(*lines)
    driver.listen(Request(driver, "r").take)
    driver.tell(do="anything")
    with pytest.raises(AssertionError, match=fault):
        await never(driver)
    await driver.end()


async def test_a_process_that_is_left_is_found() -> None:
    driver = await program(LEAVE_A_CHILD)
    heard: list[object] = []
    driver.listen(heard.append)
    await driver.wait_for(lambda: heard or None, "child")
    [child] = driver.children
    with pytest.raises(AssertionError, match=str(child.pid)):
        await driver.end()
    child.kill()


def test_a_missing_driver_is_named_with_what_builds_it() -> None:
    wanted = DriverProgram("rust", ("/no/such/driver",), toolchain=sys.executable, built_by="make drivers")
    assert wanted.why_not() is None
    with pytest.raises(AssertionError, match="/no/such/driver is missing; `make drivers` builds it"):
        wanted.demand()


def test_a_missing_toolchain_is_a_reason() -> None:
    wanted = DriverProgram("rust", ("/no/such/driver",), toolchain="no-such-compiler")
    assert wanted.why_not() == "no-such-compiler does not run here"
