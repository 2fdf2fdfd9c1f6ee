"""The engine's methods by namespace: `engine.chat.create(…)`, `engine.models.load(…)`. Each is one call."""

from typing import Unpack

from sidecar_client.calls import Caller, event_reader, result_reader, typed_call, typed_stream
from sidecar_client.parameters import (
    ChatParameters,
    CountParameters,
    DecodeParameters,
    EncodeParameters,
    GenerateParameters,
)
from sidecar_client.stream import ChatStream, GenerateStream, Stream
from sidecar_protocol.chat import ChatCompletion
from sidecar_protocol.common import Done, LoadingEvent
from sidecar_protocol.generate import Generation
from sidecar_protocol.limits import DEFAULT_CREDIT
from sidecar_protocol.models import ModelList, ModelStatus, ModelStatusList
from sidecar_protocol.tokens import TokensCounted, TokensDecoded, TokensEncoded


class Chat:
    """chat.*: OpenAI chat completions."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def create(
        self, *, deadline_seconds: float | None = None, **params: Unpack[ChatParameters]
    ) -> ChatCompletion:
        """Answer a conversation. `deadline_seconds` raises DeadlineExceeded with what there was by then."""
        return await typed_call(self._caller, "chat.create", ChatCompletion, params, deadline_seconds)

    def stream(
        self,
        *,
        credit: int = DEFAULT_CREDIT,
        deadline_seconds: float | None = None,
        **params: Unpack[ChatParameters],
    ) -> ChatStream:
        """Answer a conversation piece by piece; the engine is at most `credit` events ahead of the reader."""
        request = self._caller.submit(
            "chat.create", {**params, "stream": True}, credit=credit, deadline_seconds=deadline_seconds
        )
        return ChatStream(request, event_reader("chat.create"), result_reader("chat.create", ChatCompletion))


class Generate:
    """generate.*: raw prompts, without a chat template."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def create(
        self, *, deadline_seconds: float | None = None, **params: Unpack[GenerateParameters]
    ) -> Generation:
        """Continue a prompt, given as text or as token ids."""
        return await typed_call(self._caller, "generate.create", Generation, params, deadline_seconds)

    def stream(
        self,
        *,
        credit: int = DEFAULT_CREDIT,
        deadline_seconds: float | None = None,
        **params: Unpack[GenerateParameters],
    ) -> GenerateStream:
        """Continue a prompt piece by piece."""
        request = self._caller.submit(
            "generate.create", {**params, "stream": True}, credit=credit, deadline_seconds=deadline_seconds
        )
        return GenerateStream(
            request,
            event_reader("generate.create"),
            result_reader("generate.create", Generation),
        )


class Tokens:
    """tokens.*: text to token ids and back."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def encode(self, **params: Unpack[EncodeParameters]) -> TokensEncoded:
        """Turn text into token ids."""
        return await typed_call(self._caller, "tokens.encode", TokensEncoded, params)

    async def decode(self, **params: Unpack[DecodeParameters]) -> TokensDecoded:
        """Turn token ids into text."""
        return await typed_call(self._caller, "tokens.decode", TokensDecoded, params)

    async def count(self, **params: Unpack[CountParameters]) -> TokensCounted:
        """Count the tokens of a text, or of a conversation as chat.create would send it."""
        return await typed_call(self._caller, "tokens.count", TokensCounted, params)


class Models:
    """models.*: the models on this computer and in memory."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def list(self) -> ModelList:
        """Models found in the host's folders, models.toml and installed packages."""
        return await typed_call(self._caller, "models.list", ModelList)

    async def load(self, model: str, *, deadline_seconds: float | None = None) -> ModelStatus:
        """Bring a model into memory; converts it first when that was never done on this computer."""
        return await typed_call(self._caller, "models.load", ModelStatus, {"model": model}, deadline_seconds)

    def load_stream(
        self, model: str, *, credit: int = DEFAULT_CREDIT, deadline_seconds: float | None = None
    ) -> Stream[LoadingEvent, ModelStatus]:
        """The same with progress: `stage` is resolve, convert, load or allocate."""
        return typed_stream(
            self._caller, "models.load", ModelStatus, {"model": model}, credit, deadline_seconds
        )

    async def unload(self, model: str) -> Done:
        """Take a model out of memory; its running requests end as cancelled."""
        return await typed_call(self._caller, "models.unload", Done, {"model": model})

    async def status(self) -> ModelStatusList:
        """State of every model this process has loaded or tried to."""
        return await typed_call(self._caller, "models.status", ModelStatusList)
