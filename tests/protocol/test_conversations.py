"""Whole conversations, byte for byte: our client as the host, the service as the engine."""

import asyncio
import json
from typing import Any

import pytest

from sidecar_client.connection import Connection
from sidecar_protocol.codec import decode
from sidecar_protocol.envelope import Kind
from tests.support.conversations.__main__ import FOLDER, main, record
from tests.support.conversations.engine import SpeakingEngine
from tests.support.conversations.pins import Pins
from tests.support.conversations.player import Player
from tests.support.conversations.scripts import CONVERSATIONS, Conversation
from tests.support.conversations.service import Service, quiet
from tests.support.conversations.stage import perform, spoken_protocols
from tests.support.fixtures import Entry, fixture, from_readable

DEADLINE_SECONDS = 10.0
NEEDED = {
    "hello_and_ping",
    "generate_streamed",
    "chat_streamed_with_usage",
    "chat_not_streamed",
    "invalid_params",
    "unknown_method",
    "cancel_in_the_middle",
    "deadline",
    "tool_answered",
    "tool_that_fails",
    "host_request_cancelled",
    "credit_in_the_middle",
    "bye_for_a_version",
    "notification",
}

every_conversation = pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda one: one.name)


def recorded(conversation: Conversation) -> Any:
    """Its file."""
    return fixture(f"conversations/{conversation.name}.json")


def frames_of(step: Entry) -> list[bytes]:
    return [bytes.fromhex(step["header"]), bytes.fromhex(step["body"])]


def by_request(said: list[Entry]) -> dict[str, list[Entry]]:
    """What was said of each request, and of everything else."""
    grouped: dict[str, list[Entry]] = {}
    for one in said:
        grouped.setdefault(str(one.get("request", one["said"])), []).append(one)
    return grouped


def assert_same(frames: list[bytes], step: Entry) -> None:
    """A host's message, byte for byte; of a hello all but who says it."""
    header, body = frames
    assert header.hex() == step["header"]
    if step["reads"]["header"]["k"] == Kind.HELLO:
        said = decode(body)
        assert isinstance(said, dict)
        assert {**said, "client": None} == {**from_readable(step["reads"]["body"]), "client": None}
    else:
        assert body.hex() == step["body"], decode(body)


@every_conversation
async def test_the_client_says_what_a_host_says_and_sees_what_it_sees(conversation: Conversation) -> None:
    content = recorded(conversation)
    async with SpeakingEngine() as engine, asyncio.timeout(DEADLINE_SECONDS):

        async def open_connection(connection: Connection) -> None:
            await connection.open(engine.door, DEADLINE_SECONDS)

        player = Player(open_connection)

        async def act(passed: int) -> None:
            for action in content["actions"]:
                if action["after"] == passed:
                    await player.until_said(action["seen"])
                    player.do(from_readable(action))

        for passed, step in enumerate(content["steps"]):
            await act(passed)
            if step["from"] == "engine":
                await engine.send(*frames_of(step))
            else:
                assert_same(await engine.receive(), step)
        await act(len(content["steps"]))
        await player.until_said(len(content["observes"]))
        assert by_request(player.said) == by_request(from_readable(content["observes"]))
        assert await engine.nothing_more()
        await player.close()


@every_conversation
async def test_the_service_says_what_an_engine_says(conversation: Conversation) -> None:
    content = recorded(conversation)
    pins = Pins()
    with spoken_protocols(conversation.protocols):
        service = Service()

        async def do(passed: int) -> None:
            for deed in content["engine"]["does"]:
                if deed["after"] == passed:
                    await perform(service, deed)

        for passed, step in enumerate(content["steps"]):
            await do(passed)
            if step["from"] == "host":
                service.host.send_frames(frames_of(step))
                await quiet()
                continue
            header, body = await asyncio.wait_for(service.host.receive_frames(), DEADLINE_SECONDS)
            assert header.hex() == step["header"]
            assert pins.body(body).hex() == step["body"], decode(body)
        await do(len(content["steps"]))
        await service.close()


@every_conversation
async def test_frames_are_what_they_read_as(conversation: Conversation) -> None:
    for step in recorded(conversation)["steps"]:
        for name, frame in zip(("header", "body"), frames_of(step), strict=True):
            assert decode(frame) == from_readable(step["reads"][name])


@every_conversation
async def test_it_is_recorded_the_same_again(conversation: Conversation) -> None:
    committed = (FOLDER / f"{conversation.name}.json").read_text(encoding="utf-8")
    assert await record(conversation) == committed, "run `make generate`"


def test_there_are_those_that_every_client_needs_and_no_file_without_a_script() -> None:
    names = {one.name for one in CONVERSATIONS}
    assert names >= NEEDED
    assert {path.stem for path in FOLDER.iterdir()} == names
    assert fixture("counts.json")["conversations"] == len(names)


@every_conversation
def test_no_stream_gives_credit_just_before_its_end(conversation: Conversation) -> None:
    """Whether a client still says how much it has read when the end is there is a matter of luck."""
    credit: dict[int, int] = {}
    read: dict[int, int] = {}
    waiting: list[tuple[int, int]] = []
    for step in recorded(conversation)["steps"]:
        header, body = step["reads"]["header"], step["reads"]["body"]
        request = header.get("id", -1)
        match step["from"], header["k"]:
            case "host", "req":
                credit[request] = header.get("credit", 0)
            case "host", "credit":
                waiting.remove((request, header["credit"]))
            case "engine", "evts":
                for of, _, _ in body:
                    read[of] = read.get(of, 0) + 1
                    if read[of] * 2 >= credit[of]:
                        waiting.append((of, read.pop(of)))
            case "engine", "res":
                assert [grant for grant in waiting if grant[0] == request] == []


def test_recording_writes_what_has_changed_and_removes_what_no_script_makes(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old.json").write_text("{}")
    assert main(tmp_path) == 0
    assert "removed old.json" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in FOLDER.iterdir()}
    assert main(tmp_path) == 0
    assert capsys.readouterr().out == ""
    assert json.loads((tmp_path / "deadline.json").read_text())["name"] == "deadline"
