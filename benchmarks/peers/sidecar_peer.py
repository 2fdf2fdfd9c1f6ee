"""The sidecar's engine as a Python library: what lies between it and an app is in `make bench`."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.folders import CACHE_DIR
from benchmarks.peers.cases import WARM_UP_STEPS, Case, cache_tokens
from benchmarks.peers.wire import CannotMeasure, Measurement, serve
from sidecar.config import LibrarySettings
from sidecar.engine.config import EngineConfig
from sidecar.engine.inference_engine import InferenceEngine
from sidecar.errors import SidecarError
from sidecar.generation import GenerationParams, InferenceRequest, RequestId

SPARE_STEPS = 32
"""More tokens than are timed, so that no stream ends while the clock runs."""


class SidecarPeer:
    """The sidecar as a contestant; `options` has executor, quantization and threads as in EngineConfig."""

    def __init__(self) -> None:
        self._engine: InferenceEngine | None = None

    def load(self, model: Path, options: Mapping[str, object], cases: Sequence[Case]) -> tuple[str, int]:
        """Load the model; its cache keeps the prompts of every case from round to round."""
        config = EngineConfig(
            model=str(model),
            executor=str(options["executor"]),
            quantization=str(options["quantization"]),
            threads=int(str(options["threads"])),
            cache_tokens=cache_tokens(cases) or None,
            library=LibrarySettings(cache_dir=CACHE_DIR / "converted"),
        )
        try:
            self._engine = InferenceEngine(config)
        except SidecarError as error:
            raise CannotMeasure(error.message) from error
        info = self._engine.model_info
        path = f" ({info.kernel_path})" if info.kernel_path else ""
        name = f"llm-sidecar, {info.executor} executor{path} on {info.device}, {info.quantization}"
        return name, info.vocab_size

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        """Greedy continuation of one stream."""
        return list(self._loaded().generate(prompt, _greedy(count)).token_ids)

    def measure(self, case: Case, prompts: Sequence[Sequence[int]]) -> Measurement:
        """One case, once."""
        engine = self._loaded()
        settings = engine.model_info.quantization
        if case.kind == "arrival":
            first_token, longest_gap = timed_arrival(engine, prompts[:-1], prompts[-1], case.steps)
            return Measurement(case.context, first_token, settings, longest_gap)
        if case.kind == "prefill":
            tokens, seconds = timed_prefill(engine, prompts)
        elif case.kind == "requests":
            tokens, seconds = timed_requests(engine, prompts, case.steps)
        else:
            tokens, seconds = timed_decode(engine, prompts, case.steps)
        return Measurement(tokens, seconds, settings)

    def score(self, windows: Sequence[Sequence[int]]) -> float:
        """Each window is a request whose every token is forced; the raw logits' log-probabilities count."""
        engine = self._loaded()
        for window in windows:
            params = GenerationParams(
                max_tokens=len(window) - 1, temperature=0.0, ignore_eos=True, logprobs=True
            )
            engine.add_request(
                InferenceRequest((window[0],), params, constraint=partial(ForcedTokens, window[1:]))
            )
        loss = 0.0
        while engine.has_unfinished_requests():
            for output in engine.step():
                if output.error is not None:
                    raise CannotMeasure(output.error.message)
                loss -= sum(entry.chosen.logprob for chunk in output.chunks for entry in chunk.logprobs)
        return loss

    def _loaded(self) -> InferenceEngine:
        if self._engine is None:
            raise CannotMeasure("no model is loaded")
        return self._engine


class ForcedTokens:
    """A TokenConstraint that leaves no choice."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens = tokens
        self._next = 0

    def fill_mask(self, mask: memoryview) -> None:
        """Allow the next token alone."""
        token = self._tokens[self._next]
        words = mask.cast("B").cast("I")
        for word in range(len(words)):
            words[word] = 0
        words[token // 32] = 1 << token % 32

    def advance(self, token_id: int) -> None:
        """Go on to the one after it."""
        self._next += 1

    def is_complete(self) -> bool:
        """Never: the request's length ends it."""
        return False


def timed_prefill(engine: InferenceEngine, prompts: Sequence[Sequence[int]]) -> tuple[int, float]:
    """Prompt tokens, and the seconds from each prompt to its first token."""
    started = time.perf_counter()
    for prompt in prompts:
        engine.generate(prompt, _greedy(1))
    return sum(map(len, prompts)), time.perf_counter() - started


def timed_requests(
    engine: InferenceEngine, prompts: Sequence[Sequence[int]], answer_tokens: int
) -> tuple[int, float]:
    """Answer tokens of requests that begin at once, and the seconds until the last of them ends."""
    started = time.perf_counter()
    for prompt in prompts:
        engine.add_request(InferenceRequest(tuple(prompt), _greedy(answer_tokens)))
    tokens = 0
    while engine.has_unfinished_requests():
        tokens += sum(len(chunk.token_ids) for output in engine.step() for chunk in output.chunks)
    return tokens, time.perf_counter() - started


def timed_decode(engine: InferenceEngine, prompts: Sequence[Sequence[int]], steps: int) -> tuple[int, float]:
    """Tokens of `steps` steps with every prompt decoding side by side, and the seconds they took."""
    _begin_streams(engine, prompts, steps)
    tokens = 0
    started = time.perf_counter()
    for _ in range(steps):
        tokens += sum(len(chunk.token_ids) for output in engine.step() for chunk in output.chunks)
    seconds = time.perf_counter() - started
    _end_streams(engine)
    if tokens < steps * len(prompts):
        raise CannotMeasure(f"only {tokens} tokens came out of {steps} steps of {len(prompts)} streams")
    return tokens, seconds


def timed_arrival(
    engine: InferenceEngine, prompts: Sequence[Sequence[int]], newcomer: Sequence[int], steps: int
) -> tuple[float, float]:
    """Seconds to the first token of a prompt that comes while others decode, and their longest gap."""
    streams = _begin_streams(engine, prompts, steps + len(newcomer))
    arrived = time.perf_counter()
    newcomer_id = engine.add_request(InferenceRequest(tuple(newcomer), _greedy(steps + SPARE_STEPS)))
    latest = dict.fromkeys(streams, arrived)
    first_token = longest_gap = 0.0
    while steps:
        outputs = engine.step()
        now = time.perf_counter()
        steps -= first_token > 0
        for request_id in (output.request_id for output in outputs if output.chunks):
            if request_id in latest:
                longest_gap = max(longest_gap, now - latest[request_id])
                latest[request_id] = now
            elif request_id == newcomer_id and not first_token:
                first_token = now - arrived
    _end_streams(engine)
    return first_token, longest_gap


def _begin_streams(engine: InferenceEngine, prompts: Sequence[Sequence[int]], steps: int) -> set[RequestId]:
    """Requests that have made their first tokens together, and are good for `steps` steps more.

    The prompts are computed beforehand, one by one, into the prefix cache: a
    stream that began early would grow while others' prompts are computed.
    """
    for prompt in prompts:
        engine.generate(prompt, _greedy(1))
    params = _greedy(WARM_UP_STEPS + steps + SPARE_STEPS)
    streams = {engine.add_request(InferenceRequest(tuple(prompt), params)) for prompt in prompts}
    begun: set[RequestId] = set()
    while begun != streams:
        begun |= {output.request_id for output in engine.step() if output.chunks}
    for _ in range(WARM_UP_STEPS):
        engine.step()
    return streams


def _end_streams(engine: InferenceEngine) -> None:
    engine.cancel_all()
    while engine.has_unfinished_requests():
        engine.step()


def _greedy(count: int) -> GenerationParams:
    return GenerationParams(max_tokens=count, temperature=0.0, ignore_eos=True)


if __name__ == "__main__":
    serve(SidecarPeer())
