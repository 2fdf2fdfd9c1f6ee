"""From an OpenAI-shaped request to the engine's GenerationParams."""

from sidecar.errors import InvalidParams
from sidecar.generation import GenerationParams, OverflowPolicy, Priority
from sidecar_protocol.chat import ChatCreate
from sidecar_protocol.common import SamplingParams

_PRIORITIES = {
    "interactive": Priority.INTERACTIVE,
    "normal": Priority.NORMAL,
    "background": Priority.BACKGROUND,
}
_TOKEN_ID_DIGITS = 20


def to_generation_params(request: ChatCreate) -> GenerationParams:
    """The engine's terms for a chat request. Raises InvalidParams naming the field as the caller wrote it."""
    if request.max_tokens is not None and request.max_completion_tokens is not None:
        raise InvalidParams(
            "params has both max_tokens and max_completion_tokens; give one of them",
            parameter="params.max_completion_tokens",
        )
    return sampling_to_generation_params(
        request,
        max_tokens=request.max_completion_tokens if request.max_tokens is None else request.max_tokens,
        logprobs=request.logprobs,
        top_logprobs=request.top_logprobs,
    )


def sampling_to_generation_params(
    request: SamplingParams,
    *,
    max_tokens: int | None,
    logprobs: bool,
    top_logprobs: int,
    overflow: OverflowPolicy = OverflowPolicy.ERROR,
) -> GenerationParams:
    """The engine's terms for the fields that chat and raw generation share. Raises InvalidParams."""
    stop = [request.stop] if isinstance(request.stop, str) else request.stop or []
    try:
        return GenerationParams(
            max_tokens=max_tokens,
            min_tokens=request.min_tokens,
            temperature=request.temperature,
            top_k=request.top_k,
            top_p=request.top_p,
            min_p=request.min_p,
            typical_p=request.typical_p,
            repetition_penalty=request.repetition_penalty,
            frequency_penalty=request.frequency_penalty,
            presence_penalty=request.presence_penalty,
            repeat_last_n=request.repeat_last_n,
            logit_bias=_logit_bias(request.logit_bias),
            seed=request.seed,
            n=request.n,
            stop=tuple(stop),
            stop_token_ids=tuple(request.stop_token_ids),
            ignore_eos=request.ignore_eos,
            skip_special_tokens=request.skip_special_tokens,
            logprobs=logprobs,
            top_logprobs=top_logprobs,
            priority=_PRIORITIES[request.priority],
            overflow=overflow,
        )
    except InvalidParams as error:
        raise InvalidParams(f"params.{error.message}", parameter=f"params.{error.parameter}") from error


def _logit_bias(biases: dict[str, float]) -> dict[int, float]:
    for key in biases:
        # Python turns no more than 4,300 digits into a number.
        if not (key.isascii() and key.isdigit() and len(key) <= _TOKEN_ID_DIGITS):
            raise InvalidParams(
                f'logit_bias has the key {key[:40]!r}; keys are token ids written as strings, like "42"',
                parameter="logit_bias",
            )
    return {int(key): bias for key, bias in biases.items()}
