"""The turns of a chat on a terminal: what was said, and an answer while it is being given."""

import argparse
import time
from collections.abc import Iterator
from typing import cast

from sidecar.cli.output import LoadingBar, note, say
from sidecar_client import SyncEngine
from sidecar_client.parameters import ChatParameters, Message
from sidecar_protocol.chat import ChatChunkEvent, ChatCompletion, ChatEvent
from sidecar_protocol.common import LoadingEvent, OverflowEvent, QueuedEvent


class Conversation:
    """What was said so far; turns are added as they are answered."""

    def __init__(
        self, engine: SyncEngine, model: str, system: str | None, sampling: dict[str, object]
    ) -> None:
        self.engine = engine
        self._model = model
        self._sampling = sampling
        self._beginning: list[Message] = [{"role": "system", "content": system}] if system else []
        self._turns: list[Message] = []

    def clear(self) -> None:
        """Forget all but the system message."""
        self._turns.clear()

    def request(self, message: str) -> ChatParameters:
        """The params of chat.create for the next turn."""
        messages = [*self._beginning, *self._turns, {"role": "user", "content": message}]
        # The sampling parameters come from arguments whose types argparse has checked.
        return cast("ChatParameters", {"messages": messages, "model": self._model, **self._sampling})

    def add(self, message: str, answer: str) -> None:
        """Remember a turn."""
        self._turns += [{"role": "user", "content": message}, {"role": "assistant", "content": answer}]


class Turn:
    """One message and its answer, shown as it comes."""

    def __init__(self, conversation: Conversation, message: str, *, silent: bool = False) -> None:
        self.completion: ChatCompletion | None = None
        self._conversation = conversation
        self._message = message
        self._silent = silent
        self._texts: list[str] = []
        self._queue_told = False
        self._first_token_seconds: float | None = None

    def answer(self) -> None:
        """Ask and show. Leaving it early, by Ctrl-C, cancels and keeps what was said so far."""
        began = time.monotonic()
        request = self._conversation.request(self._message)
        try:
            with self._conversation.engine.chat.stream(**request) as stream:
                reader = iter(stream)
                self._wait_for_text(reader, began)
                for event in reader:
                    self._show(event)
                self.completion = stream.result()
        finally:
            if self._texts:
                self._conversation.add(self._message, "".join(self._texts))
                if not self._silent:
                    say("\n")

    def show_figures(self) -> None:
        """Tokens and times, on stderr."""
        if self.completion is None:
            return
        usage, timings = self.completion.usage, self.completion.timings
        speed = ""
        if usage.completion_tokens > 1 and timings.decode_ms > 0:
            speed = f" · {(usage.completion_tokens - 1) / timings.decode_ms * 1000:.1f} tokens/s"
        first = f" · first after {self._first_token_seconds:.2f} s" if self._first_token_seconds else ""
        note(
            f"[{self.completion.model} · {usage.prompt_tokens} tokens in "
            f"({usage.prompt_tokens_details.cached_tokens} cached) · {usage.completion_tokens} out"
            f"{first}{speed} · {self.completion.choices[0].finish_reason}]"
        )

    def _wait_for_text(self, events: Iterator[ChatEvent], began: float) -> None:
        with LoadingBar() as loading:
            for event in events:
                if isinstance(event, LoadingEvent):
                    loading.show(event)
                elif isinstance(event, ChatChunkEvent):
                    self._first_token_seconds = time.monotonic() - began
                    break
                else:
                    self._tell(event)
            else:
                return
        self._show(event)

    def _show(self, event: ChatEvent) -> None:
        if not isinstance(event, ChatChunkEvent):
            return
        for choice in event.chunk.choices:
            if choice.delta.content:
                self._texts.append(choice.delta.content)
                if not self._silent:
                    say(choice.delta.content)

    def _tell(self, event: ChatEvent) -> None:
        if isinstance(event, QueuedEvent) and event.position > 0 and not self._queue_told:
            self._queue_told = True
            note(f"[waiting; {event.position} before this one]")
        elif isinstance(event, OverflowEvent):
            note(f"[the conversation is too long for the model: {event.dropped_messages} messages left out]")


def sampling(arguments: argparse.Namespace) -> dict[str, object]:
    """Sampling parameters that were given."""
    names = ("temperature", "top_p", "max_tokens", "seed")
    return {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
