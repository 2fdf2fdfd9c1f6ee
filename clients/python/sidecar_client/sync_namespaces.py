"""The engine's methods by namespace, each waiting for its asynchronous twin."""

from typing import Unpack

from sidecar_client.engine import Engine
from sidecar_client.parameters import (
    ChatParameters,
    CountParameters,
    DecodeParameters,
    EncodeParameters,
    GenerateParameters,
)
from sidecar_client.portal import Portal
from sidecar_client.sync_stream import SyncChatStream, SyncGenerateStream, SyncStream
from sidecar_protocol.chat import ChatCompletion
from sidecar_protocol.common import Done, LoadingEvent
from sidecar_protocol.generate import Generation
from sidecar_protocol.limits import DEFAULT_CREDIT
from sidecar_protocol.models import ModelList, ModelStatus, ModelStatusList
from sidecar_protocol.tokens import TokensCounted, TokensDecoded, TokensEncoded


class SyncChat:
    """chat.*: OpenAI chat completions."""

    def __init__(self, portal: Portal, engine: Engine) -> None:
        self._portal = portal
        self._chat = engine.chat

    def create(
        self, *, deadline_seconds: float | None = None, **params: Unpack[ChatParameters]
    ) -> ChatCompletion:
        """Answer a conversation."""
        return self._portal.run(self._chat.create(deadline_seconds=deadline_seconds, **params))

    def stream(
        self,
        *,
        credit: int = DEFAULT_CREDIT,
        deadline_seconds: float | None = None,
        **params: Unpack[ChatParameters],
    ) -> SyncChatStream:
        """Answer a conversation piece by piece."""
        stream = self._portal.call(
            lambda: self._chat.stream(credit=credit, deadline_seconds=deadline_seconds, **params)
        )
        return SyncChatStream(self._portal, stream)


class SyncGenerate:
    """generate.*: raw prompts, without a chat template."""

    def __init__(self, portal: Portal, engine: Engine) -> None:
        self._portal = portal
        self._generate = engine.generate

    def create(
        self, *, deadline_seconds: float | None = None, **params: Unpack[GenerateParameters]
    ) -> Generation:
        """Continue a prompt, given as text or as token ids."""
        return self._portal.run(self._generate.create(deadline_seconds=deadline_seconds, **params))

    def stream(
        self,
        *,
        credit: int = DEFAULT_CREDIT,
        deadline_seconds: float | None = None,
        **params: Unpack[GenerateParameters],
    ) -> SyncGenerateStream:
        """Continue a prompt piece by piece."""
        stream = self._portal.call(
            lambda: self._generate.stream(credit=credit, deadline_seconds=deadline_seconds, **params)
        )
        return SyncGenerateStream(self._portal, stream)


class SyncTokens:
    """tokens.*: text to token ids and back."""

    def __init__(self, portal: Portal, engine: Engine) -> None:
        self._portal = portal
        self._tokens = engine.tokens

    def encode(self, **params: Unpack[EncodeParameters]) -> TokensEncoded:
        """Turn text into token ids."""
        return self._portal.run(self._tokens.encode(**params))

    def decode(self, **params: Unpack[DecodeParameters]) -> TokensDecoded:
        """Turn token ids into text."""
        return self._portal.run(self._tokens.decode(**params))

    def count(self, **params: Unpack[CountParameters]) -> TokensCounted:
        """Count the tokens of a text, or of a conversation as chat.create would send it."""
        return self._portal.run(self._tokens.count(**params))


class SyncModels:
    """models.*: the models on this computer and in memory."""

    def __init__(self, portal: Portal, engine: Engine) -> None:
        self._portal = portal
        self._models = engine.models

    def list(self) -> ModelList:
        """Models found in the host's folders, models.toml and installed packages."""
        return self._portal.run(self._models.list())

    def load(self, model: str, *, deadline_seconds: float | None = None) -> ModelStatus:
        """Bring a model into memory; converts it first when that was never done on this computer."""
        return self._portal.run(self._models.load(model, deadline_seconds=deadline_seconds))

    def load_stream(
        self, model: str, *, credit: int = DEFAULT_CREDIT, deadline_seconds: float | None = None
    ) -> SyncStream[LoadingEvent, ModelStatus]:
        """The same with progress."""
        stream = self._portal.call(
            lambda: self._models.load_stream(model, credit=credit, deadline_seconds=deadline_seconds)
        )
        return SyncStream(self._portal, stream)

    def unload(self, model: str) -> Done:
        """Take a model out of memory; its running requests end as cancelled."""
        return self._portal.run(self._models.unload(model))

    def status(self) -> ModelStatusList:
        """State of every model this process has loaded or tried to."""
        return self._portal.run(self._models.status())
