"""What the remaining namespaces take, and how their events join."""

from typing import Any

import msgspec
import pytest

from sidecar_protocol.embeddings import Embedding, EmbeddingsCreate, normalise_embedding_input
from sidecar_protocol.methods import METHODS
from sidecar_protocol.sessions import RunTextEvent, SessionsCreate, SessionsRun, SpecificTools


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("text", "text"),
        (["a", "b"], ["a", "b"]),
        ([1, 2], [[1, 2]]),
        ([[1, 2], [3]], [[1, 2], [3]]),
        (["a", [1]], ["a", [1]]),
    ],
)
def test_texts_to_embed_may_be_texts_or_token_ids(given: Any, taken: Any) -> None:
    plain = normalise_embedding_input({"input": given})
    assert msgspec.convert(plain, EmbeddingsCreate).input == taken


@pytest.mark.parametrize("given", [1, [True], [1.5], [[["a"]]], {"text": "a"}])
def test_nothing_else_can_be_embedded(given: Any) -> None:
    with pytest.raises(msgspec.ValidationError, match="input"):
        msgspec.convert(normalise_embedding_input({"input": given}), EmbeddingsCreate)


def test_vectors_are_numbers_or_their_bytes() -> None:
    for vector in ([0.5, 1.0], b"\x00\x00\x80?"):
        embedding = Embedding(object="embedding", index=0, embedding=vector)
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(embedding), type=Embedding) == embedding


def test_a_session_has_a_policy_and_limits() -> None:
    session = msgspec.convert(
        {
            "servers": ["files"],
            "tools": [{"type": "function", "name": "look"}],
            "policy": {
                "rules": [
                    {"decision": "allow", "server": "files", "tool": "read_*"},
                    {"decision": "deny", "arguments": {"path": "/etc/.*"}},
                ],
                "otherwise": "ask",
            },
            "limits": {"max_turns": 5, "max_seconds": 60},
        },
        SessionsCreate,
    )
    assert session.policy is not None
    assert [rule.decision for rule in session.policy.rules] == ["allow", "deny"]
    assert session.limits is not None
    assert (session.limits.max_turns, session.limits.max_seconds) == (5, 60.0)
    for wrong in ({"max_turns": 0}, {"max_seconds": 0}, {"max_tool_calls": -1}):
        with pytest.raises(msgspec.ValidationError, match="limits"):
            msgspec.convert({"limits": wrong}, SessionsCreate)


def test_a_run_takes_a_text_or_items_and_chooses_tools() -> None:
    method = METHODS["sessions.run"]
    assert method.normalise is not None
    plain = {
        "session_id": "s",
        "input": [{"role": "user", "content": "Hi"}],
        "tool_choice": {"tools": ["look"]},
    }
    run = msgspec.convert(method.normalise(plain), SessionsRun)
    assert run.tool_choice == SpecificTools(tools=["look"])
    assert (
        msgspec.convert({"session_id": "s", "input": "Hi", "tool_choice": "none"}, SessionsRun).input == "Hi"
    )


def test_text_of_one_turn_is_joined_and_of_two_is_not() -> None:
    def text(delta: str, number: int, turn: int = 1) -> RunTextEvent:
        return RunTextEvent(sequence_number=number, turn=turn, delta=delta)

    assert text("a", 1).joined_with(text("b", 2)) == text("ab", 2)
    assert text("a", 1).joined_with(text("b", 2, turn=2)) is None
