"""generate.*"""

import asyncio
from contextlib import aclosing

from sidecar.errors import InvalidParams
from sidecar.generation import (
    GenerationChunk,
    GenerationOutput,
    InferenceRequest,
    OverflowPolicy,
    SampledLogprobs,
    TokenLogprob,
)
from sidecar.openai.chat_turn import progress_events, to_timings, to_usage
from sidecar.openai.local import EngineSource
from sidecar.openai.parameters import sampling_to_generation_params
from sidecar.service.context import RequestContext
from sidecar.service.dispatcher import Handler
from sidecar_protocol.common import OverflowEvent
from sidecar_protocol.generate import (
    GenerateChoice,
    GenerateChunkEvent,
    GenerateCreate,
    Generation,
    TokenLogprobItem,
    TokenLogprobs,
)


def generate_handlers(engines: EngineSource) -> dict[str, Handler]:
    """Handlers of the generate namespace."""

    async def create(params: GenerateCreate, context: RequestContext) -> Generation:
        generation_params = sampling_to_generation_params(
            params,
            max_tokens=params.max_tokens,
            logprobs=params.logprobs,
            top_logprobs=params.top_logprobs,
            overflow=OverflowPolicy(params.overflow),
        )
        if not params.prompt:
            raise InvalidParams(
                "params.prompt is empty; it needs at least one token", parameter="params.prompt"
            )
        engine = await engines(params.model, context.emit)
        if isinstance(params.prompt, str):
            token_ids = await asyncio.to_thread(
                engine.tokenizer.encode, params.prompt, parse_special=params.parse_special
            )
        else:
            token_ids = params.prompt
        transcript = _Transcript(params)
        context.partial = transcript.generation
        request = InferenceRequest(tuple(token_ids), generation_params, continues_text=True)
        async with aclosing(engine.stream(request)) as outputs:
            async for output in outputs:
                transcript.take(output, context)
        return transcript.generation()

    return {"generate.create": create}


class _Transcript:
    """What one generation has given so far."""

    def __init__(self, params: GenerateCreate) -> None:
        self._model = params.model
        self._logprobs = params.logprobs
        self._choices = [
            GenerateChoice(
                index=index,
                text="",
                token_ids=[],
                finish_reason="cancelled",
                logprobs=[] if params.logprobs else None,
            )
            for index in range(params.n)
        ]
        self._last = GenerationOutput("")

    def take(self, output: GenerationOutput, context: RequestContext) -> None:
        if output.dropped_tokens and not self._last.dropped_tokens:
            context.emit(OverflowEvent(dropped_tokens=output.dropped_tokens))
        self._last = output
        for event in progress_events(output):
            context.emit(event)
        for chunk in output.chunks:
            added = self._chunk_event(chunk)
            choice = self._choices[chunk.choice]
            choice.text += added.text
            choice.token_ids.extend(added.token_ids)
            choice.matched_stop = added.matched_stop
            if added.finish_reason is not None:
                choice.finish_reason = added.finish_reason
            if choice.logprobs is not None:
                choice.logprobs.extend(added.logprobs or [])
            context.emit(added)
        if output.error is not None:
            raise output.error

    def generation(self) -> Generation:
        return Generation(
            model=self._model,
            choices=self._choices,
            usage=to_usage(self._last.usage),
            timings=to_timings(self._last.timings),
            dropped_tokens=self._last.dropped_tokens,
        )

    def _chunk_event(self, chunk: GenerationChunk) -> GenerateChunkEvent:
        return GenerateChunkEvent(
            choice=chunk.choice,
            text=chunk.text,
            token_ids=list(chunk.token_ids),
            logprobs=[_logprobs(item) for item in chunk.logprobs] if self._logprobs else None,
            finish_reason=None if chunk.finish_reason is None else chunk.finish_reason.value,
            matched_stop=chunk.matched_stop,
        )


def _logprobs(item: SampledLogprobs) -> TokenLogprobs:
    return TokenLogprobs(chosen=_item(item.chosen), top=[_item(entry) for entry in item.top])


def _item(entry: TokenLogprob) -> TokenLogprobItem:
    return TokenLogprobItem(token_id=entry.token_id, logprob=entry.logprob)
