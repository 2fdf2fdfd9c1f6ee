"""A real child process: how it is started, refused, watched and ended."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from sidecar_client import (
    Engine,
    EngineCrashed,
    EngineGaveUp,
    EngineLost,
    EngineRestarted,
    RestartPolicy,
    StartFailed,
)
from sidecar_client.engine import Opening
from sidecar_client.notices import Notice

COMMAND = [sys.executable, "-m", "tests.support.fake_sidecar"]


def spawn(behaviour: str | None = None, **arguments: Any) -> Opening:
    return Engine.spawn(
        COMMAND,
        app_id="tests",
        options={} if behaviour is None else {"behaviour": behaviour},
        **arguments,
    )


def assert_gone(pid: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(2)


async def crash(engine: Engine) -> EngineLost:
    with pytest.raises(EngineLost) as caught:
        await engine.call("test.crash")
    return caught.value


async def test_spawned_in_one_line_and_gone_at_the_end() -> None:
    async with spawn() as engine:
        about = await engine.call("engine.info")
        assert isinstance(about, dict)
        assert about["pid"] == engine.pid
    assert_gone(about["pid"])


async def test_awaited_it_stays_until_it_is_closed() -> None:
    engine = await spawn()
    pid = engine.pid
    assert pid is not None
    async with engine:
        assert psutil.pid_exists(pid)
    assert_gone(pid)


async def test_environment_is_scrubbed_and_no_key_leaves_in_it_or_in_arguments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("LD_TEST", "PYTHONTEST", "_PYI_TEST", "KEPT"):
        monkeypatch.setenv(name, "x")
    async with spawn() as engine:
        about = await engine.call("engine.info")
    assert isinstance(about, dict)
    assert about["environment"]["KEPT"] == "x"
    assert not {"LD_TEST", "PYTHONTEST", "_PYI_TEST"} & set(about["environment"])
    assert len(about["arguments"]) == 1


async def test_a_refusal_is_passed_on() -> None:
    with pytest.raises(StartFailed, match="options has a fault") as caught:
        await spawn("refuse")
    assert caught.value.code == "invalid_params"


async def test_a_first_line_that_is_no_ready_line() -> None:
    with pytest.raises(StartFailed, match="I am not JSON"):
        await spawn("garbage")


async def test_a_process_that_says_nothing_is_given_up() -> None:
    with pytest.raises(StartFailed, match=r"not ready within 0\.5 s"):
        await spawn("silent", handshake_timeout=0.5)


async def test_a_process_that_never_welcomes_is_given_up() -> None:
    with pytest.raises(StartFailed, match="did not answer hello"):
        await spawn("no_hello", handshake_timeout=2.0)


async def test_a_process_that_ends_too_early_is_explained() -> None:
    with pytest.raises(
        StartFailed, match="exited with status 7 before it was ready: it went wrong"
    ) as caught:
        await spawn("exit")
    assert caught.value.exit_status == 7
    assert caught.value.stderr_tail[-1] == "it went wrong"


async def test_another_protocol_is_explained() -> None:
    with pytest.raises(StartFailed, match="same release") as caught:
        await spawn("other_protocol")
    assert caught.value.code == "unsupported_protocol"


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match="cannot be started"):
        await Engine.spawn([str(tmp_path / "missing")], app_id="tests")


async def test_giving_up_the_opening_leaves_no_process() -> None:
    started = asyncio.Event()
    opening = asyncio.ensure_future(_open(spawn("silent", on_log=lambda _: started.set())))
    await started.wait()
    assert psutil.Process().children()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert psutil.Process().children() == []


async def _open(opening: Opening) -> Engine:
    return await opening


async def test_stderr_is_forwarded_and_its_end_kept() -> None:
    lines: list[str] = []
    async with spawn("flood_stderr", on_log=lines.append, restart=None) as engine:
        lost = await crash(engine)
    assert lines[0] == '{"level":"info","message":"hello from stderr"}'
    assert lines[-1] == lost.stderr_tail[-1] == "line 19999"
    assert len(lost.stderr_tail) == 200


async def test_a_killed_engine_is_reported_within_a_second() -> None:
    async with spawn(restart=None) as engine:
        stream = engine.chat.stream(messages=[])
        reader = stream.__aiter__()
        await anext(reader)
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGKILL)
        began = time.monotonic()
        with pytest.raises(EngineLost, match="killed by SIGKILL") as caught:
            await anext(reader)
        assert time.monotonic() - began < 1
        assert caught.value.exit_status == -signal.SIGKILL
        assert caught.value.may_have_executed
        with pytest.raises(EngineLost) as later:
            await engine.info()
        assert not later.value.may_have_executed


async def test_its_children_end_with_it() -> None:
    async with spawn(restart=None) as engine:
        answer = await engine.call("test.spawn_child")
        assert isinstance(answer, dict)
        await crash(engine)
    assert_gone(answer["pid"])


async def test_after_a_crash_later_requests_meet_a_new_process() -> None:
    notices: list[Notice] = []
    async with spawn(on_notice=notices.append) as engine:
        first = engine.pid
        pending = engine.chat.stream(messages=[])
        await crash(engine)
        with pytest.raises(EngineLost) as caught:
            await pending.result()
        assert caught.value.may_have_executed
        about = await engine.call("engine.info")
        assert isinstance(about, dict)
        assert about["pid"] == engine.pid != first
    assert [type(notice) for notice in notices] == [EngineCrashed, EngineRestarted]


async def test_a_crash_loop_ends_in_a_clear_stop() -> None:
    notices: list[Notice] = []
    policy = RestartPolicy(max_restarts=2, within_seconds=600)
    async with spawn(restart=policy, on_notice=notices.append) as engine:
        for _ in range(3):
            await crash(engine)
        with pytest.raises(EngineLost, match="after 2 restarts within 600 s it is not started again"):
            await engine.info()
    assert sum(isinstance(notice, EngineRestarted) for notice in notices) == 2
    assert isinstance(notices[-1], EngineGaveUp)


async def test_closing_ends_one_that_does_not_want_to() -> None:
    engine = await spawn("deaf")
    pid = engine.pid
    assert pid is not None
    began = time.monotonic()
    await engine.close()
    assert time.monotonic() - began < 5
    assert_gone(pid)


async def test_aborting_is_immediate() -> None:
    engine = await spawn("deaf")
    pid = engine.pid
    assert pid is not None
    call = asyncio.ensure_future(engine.call("test.wait"))
    began = time.monotonic()
    await engine.abort()
    assert time.monotonic() - began < 1
    assert_gone(pid)
    with pytest.raises(EngineLost):
        await call


async def test_an_engine_told_to_end_is_not_started_again() -> None:
    notices: list[Notice] = []
    async with spawn(on_notice=notices.append) as engine:
        await engine.shutdown()
        with pytest.raises(EngineLost):
            await engine.info()
    assert notices == []


async def test_closing_while_it_is_started_again() -> None:
    crashed = asyncio.Event()
    async with spawn(on_notice=lambda _: crashed.set()) as engine:
        pid = engine.pid
        await crash(engine)
        await crashed.wait()
        waiting = asyncio.ensure_future(engine.info())
        await asyncio.sleep(0)
    assert pid is not None
    assert_gone(pid)
    with pytest.raises(EngineLost):
        await waiting
    assert psutil.Process().children() == []
