"""Keyword arguments of the typed methods, one TypedDict each; what is left out takes the engine's default."""

from collections.abc import Mapping, Sequence
from typing import Required, TypedDict

from sidecar_protocol.chat import ChatOverflow, StreamOptions
from sidecar_protocol.chat_messages import ChatMessage
from sidecar_protocol.common import Priority
from sidecar_protocol.generate import GenerateOverflow

Message = ChatMessage | Mapping[str, object]
"""A message of a conversation, as a type of the protocol or as plain objects in OpenAI's form."""


class SamplingParameters(TypedDict, total=False):
    """How to pick tokens; see sidecar_protocol.common.SamplingParams."""

    temperature: float
    top_k: int
    top_p: float
    min_p: float
    typical_p: float
    repetition_penalty: float
    frequency_penalty: float
    presence_penalty: float
    repeat_last_n: int
    logit_bias: Mapping[str, float]
    seed: int | None
    n: int
    min_tokens: int
    stop: str | Sequence[str] | None
    stop_token_ids: Sequence[int]
    ignore_eos: bool
    skip_special_tokens: bool
    priority: Priority


class ChatParameters(SamplingParameters, total=False):
    """chat.create."""

    messages: Required[Sequence[Message]]
    model: str
    max_tokens: int | None
    max_completion_tokens: int | None
    logprobs: bool
    top_logprobs: int
    stream_options: StreamOptions | Mapping[str, object] | None
    chat_template_kwargs: Mapping[str, object]
    overflow: ChatOverflow


class GenerateParameters(SamplingParameters, total=False):
    """generate.create."""

    prompt: Required[str | Sequence[int]]
    model: str
    max_tokens: int | None
    logprobs: bool
    top_logprobs: int
    parse_special: bool
    overflow: GenerateOverflow


class EncodeParameters(TypedDict, total=False):
    """tokens.encode."""

    text: Required[str]
    model: str
    parse_special: bool


class DecodeParameters(TypedDict, total=False):
    """tokens.decode."""

    token_ids: Required[Sequence[int]]
    model: str
    skip_special_tokens: bool


class CountParameters(TypedDict, total=False):
    """tokens.count: give `text` or `messages`."""

    model: str
    text: str
    messages: Sequence[Message]
