"""The engine without asyncio: the same surface, over a real child process."""

import inspect
import sys
import threading
from typing import Any

import pytest

from sidecar_client import (
    Engine,
    EngineLost,
    StartFailed,
    SyncEngine,
    errors,
    namespaces,
    stream,
    sync_namespaces,
    sync_stream,
)
from sidecar_protocol.common import QueuedEvent

COMMAND = [sys.executable, "-m", "tests.support.fake_sidecar"]


def spawn(**arguments: Any) -> SyncEngine:
    return SyncEngine.spawn(COMMAND, app_id="tests", **arguments)


def test_calls_streams_and_the_end() -> None:
    with spawn() as engine:
        about = engine.call("engine.info")
        assert isinstance(about, dict)
        assert about["pid"] == engine.pid
        events = engine.chat.stream(messages=[])
        assert next(iter(events)) == QueuedEvent(position=1)
        assert engine.welcome.version == "9.9.9"
    assert "sidecar-client" not in {thread.name for thread in threading.enumerate()}


def test_leaving_the_loop_cancels() -> None:
    with spawn() as engine:
        for event in engine.chat.stream(messages=[]):
            assert event == QueuedEvent(position=1)
            break
        cancelled = engine.chat.stream(messages=[])
        cancelled.cancel()
        with pytest.raises(errors.Cancelled):
            cancelled.result()


def test_errors_come_through() -> None:
    with spawn(restart=None) as engine:
        with pytest.raises(errors.InvalidMessage):
            engine.chat.create(messages=[], temperature=float("nan"))
        with pytest.raises(EngineLost):
            engine.call("test.crash")


def test_a_refusal_leaves_no_thread() -> None:
    with pytest.raises(StartFailed, match="options has a fault"):
        spawn(options={"behaviour": "refuse"})
    assert "sidecar-client" not in {thread.name for thread in threading.enumerate()}


def test_aborting() -> None:
    engine = spawn(options={"behaviour": "deaf"})
    engine.abort()
    assert "sidecar-client" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(
    ("asynchronous", "synchronous"),
    [
        (Engine, SyncEngine),
        *(
            (getattr(namespaces, name), getattr(sync_namespaces, f"Sync{name}"))
            for name in ("Chat", "Conversations", "Embeddings", "Generate", "Mcp", "Models", "Responses")
        ),
        (namespaces.Sessions, sync_namespaces.SyncSessions),
        (namespaces.Tokens, sync_namespaces.SyncTokens),
        (stream.Stream, sync_stream.SyncStream),
        (stream.ChatStream, sync_stream.SyncChatStream),
        (stream.GenerateStream, sync_stream.SyncGenerateStream),
    ],
)
def test_both_faces_have_the_same_methods(asynchronous: type, synchronous: type) -> None:
    only_asynchronous = {"open", "submit", "aclose"}
    ours = public_methods(asynchronous)
    theirs = public_methods(synchronous)
    assert set(ours) - only_asynchronous == set(theirs)
    for name, method in theirs.items():
        assert list(inspect.signature(method).parameters) == list(inspect.signature(ours[name]).parameters)


def public_methods(kind: type) -> dict[str, object]:
    return {name: member for name, member in inspect.getmembers(kind, callable) if not name.startswith("_")}
