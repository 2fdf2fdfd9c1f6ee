"""Mutated messages through a real socket into a real sidecar: typed answers, a live process, flat memory."""

import contextlib
import json
import os
import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgpack
import psutil
import pytest
import zmq

from sidecar_client import SyncEngine, errors
from sidecar_client.discovery import find_connection
from sidecar_protocol.envelope import Kind
from sidecar_protocol.handshake import ConnectionFile
from tests.faults.fuzz.flood import Flood, dealer
from tests.faults.fuzz.host_frames import HostFrames
from tests.faults.fuzz.mutations import spoil_bytes, spoil_packed, spoil_value
from tests.faults.fuzz.tally import Tally

SEED = int(os.environ.get("FUZZ_SEED", "1"))
ROUNDS = 10
TOO_LARGE = 3
"""Messages above the limit; more of them would be about the memory allocator alone."""
GROWTH_BYTES = 24 * 2**20
PARAMS_SHARE = 0.3
PATIENCE_SECONDS = 5.0
"""For a host that behaves, while another one floods."""


@dataclass
class Victim:
    """A sidecar with a host that behaves, and a second door for one that does not."""

    engine: SyncEngine
    process: psutil.Process
    door: ConnectionFile
    log: list[str]

    def assert_well(self) -> None:
        started = time.monotonic()
        self.engine.ping()
        assert time.monotonic() - started < PATIENCE_SECONDS
        assert self.errors() == []

    def errors(self) -> list[str]:
        return [line for line in self.log if json.loads(line)["level"] == "error" or "Traceback" in line]

    def forget_models(self) -> None:
        """The scripted executor has a model of every name, so a spoilt name is one more model."""
        for model in self.engine.models.status().models:
            if model.name != "default":
                # A load that was cancelled may end only now.
                with contextlib.suppress(errors.ModelNotLoaded):
                    self.engine.models.unload(model.name)


@pytest.fixture
def victim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Victim]:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    log: list[str] = []
    options: Mapping[str, object] = {"executor": "scripted", "debug_socket": True, "log_level": "warning"}
    with SyncEngine.spawn(app_id="fuzz", options=options, restart=None, on_log=log.append) as engine:
        engine.models.load("default")
        yield Victim(engine, psutil.Process(engine.pid), find_connection(), log)
    assert [line for line in log if "Traceback" in line] == []


@pytest.mark.parametrize(
    "messages", [20_000, pytest.param(1_000_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
)
def test_every_mutated_message_gets_what_it_is_owed(
    victim: Victim, messages: int, capsys: pytest.CaptureFixture[str]
) -> None:
    resident: list[int] = []
    started = time.monotonic()
    with Flood(victim.door, victim.process.is_running) as flood:
        frames = HostFrames(random.Random(SEED), flood.methods)
        for _ in range(TOO_LARGE):
            flood.send(frames.too_large())
            frames.last_id = flood.last_id
        for _ in range(ROUNDS):
            sent = 0
            while sent < messages // ROUNDS:
                frames.last_id, frames.asked = flood.last_id, flood.asked
                sent += flood.send(frames.next())
            victim.assert_well()
            flood.settle()
            victim.forget_models()
            resident.append(victim.process.memory_info().rss)
    seconds = time.monotonic() - started
    with capsys.disabled():
        print(f"\n{messages:,} messages of a hostile host (seed {SEED}), {messages / seconds:,.0f}/s:")
        print(flood.tally.table())
        print("resident MB:", ", ".join(f"{size / 1e6:.0f}" for size in resident))
    assert flood.tally.total == messages + TOO_LARGE
    assert flood.tally.deep_share >= PARAMS_SHARE
    assert max(resident[3:]) - resident[2] < GROWTH_BYTES
    victim.assert_well()
    victim.engine.models.load("default")
    stats = victim.engine.stats()
    assert stats.active_requests == 1
    assert [(model.running, model.waiting, model.blocks.used) for model in stats.models] == [(0, 0, 0)]


HELLOED, REFUSED = "welcomed", "refused with bye"


@pytest.mark.parametrize(
    "messages", [1_000, pytest.param(50_000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
def test_every_mutated_hello_is_welcomed_or_told_why_not(
    victim: Victim, messages: int, capsys: pytest.CaptureFixture[str]
) -> None:
    choose = random.Random(SEED)
    tally = Tally([HELLOED, REFUSED], [])
    context = zmq.Context()
    socket = dealer(context, victim.door)
    bye = [msgpack.packb({"k": "bye"}), msgpack.packb({"code": "closed", "message": "done"})]
    for _ in range(messages):
        # A connection that was refused is over, so a bye of ours begins, and ends, another one.
        socket.send_multipart(spoilt_hello(choose))
        socket.send_multipart(bye)
        kinds = [answer_kind(socket)]
        if kinds == [Kind.BYE]:
            kinds.append(answer_kind(socket))
        assert kinds in ([Kind.WELCOME], [Kind.BYE, Kind.BYE])
        tally.add(HELLOED if kinds == [Kind.WELCOME] else REFUSED)
    context.destroy(linger=0)
    with capsys.disabled():
        print(f"\n{messages:,} mutated hellos (seed {SEED}):\n{tally.table()}")
    victim.assert_well()
    assert tally[HELLOED] > messages // 20
    assert tally[REFUSED] > messages // 20
    assert victim.engine.stats().connections == 1


def spoilt_hello(choose: random.Random) -> list[bytes]:
    header: object = {"k": "hello"}
    body: object = {
        "protocols": [1],
        "client": {"name": "fuzz", "version": "1", "language": "none"},
        "capabilities": ["host.call_tool"],
    }
    match choose.randrange(6):
        case 0:
            return [msgpack.packb(spoil_value(header, choose)), msgpack.packb(body)]
        case 1:
            return [spoil_bytes(msgpack.packb(header), choose), msgpack.packb(body)]
        case 2:
            return [msgpack.packb(header), spoil_bytes(msgpack.packb(body), choose)]
        case 3:
            return [msgpack.packb(header), spoil_packed(body, choose)]
        case _:
            return [msgpack.packb(header), msgpack.packb(spoil_value(body, choose))]


def answer_kind(socket: "zmq.Socket[bytes]") -> str:
    assert socket.poll(int(PATIENCE_SECONDS * 1000))
    header = msgpack.unpackb(socket.recv_multipart()[0])
    # The sidecar looks for hosts that are gone.
    return answer_kind(socket) if header["k"] == Kind.PING else str(header["k"])
