"""The sidecar's engine as a Python library: what lies between it and an app is in `make bench`."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.folders import CACHE_DIR
from benchmarks.peers.cases import WARM_UP_STEPS, Case, cache_tokens, random_prompt
from benchmarks.peers.wire import CannotMeasure, Measurement, serve
from sidecar.config import LibrarySettings
from sidecar.engine.config import EngineConfig
from sidecar.engine.inference_engine import InferenceEngine
from sidecar.errors import SidecarError
from sidecar.generation import GenerationParams, InferenceRequest, RequestId

SPARE_STEPS = 8
"""More tokens than are timed, so that no stream ends while the clock runs."""


class SidecarPeer:
    """The sidecar as a contestant; `options` has executor, quantization and threads as in EngineConfig."""

    def __init__(self) -> None:
        self._engine: InferenceEngine | None = None

    def load(self, model: Path, options: Mapping[str, object], cases: Sequence[Case]) -> str:
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
        return f"llm-sidecar, {info.executor} executor on {info.device}, {info.quantization}"

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        """Greedy continuation of one stream."""
        return list(self._loaded().generate(prompt, _greedy(count)).token_ids)

    def measure(self, case: Case, round_number: int) -> Measurement:
        """One case, once."""
        engine = self._loaded()
        count = case.steps if case.kind == "prefill" else case.streams
        # Decoding may find its prompts in the prefix cache; what computes prompts must not.
        name = "decode" if case.kind == "decode" else f"{case.kind} {round_number}"
        vocabulary = engine.model_info.vocab_size
        prompts = [random_prompt(case.context, vocabulary, name=f"{name} {index}") for index in range(count)]
        if case.kind == "prefill":
            tokens, seconds = timed_prefill(engine, prompts)
        elif case.kind == "requests":
            tokens, seconds = timed_requests(engine, prompts, case.steps)
        else:
            tokens, seconds = timed_decode(engine, prompts, case.steps)
        return Measurement(tokens, seconds, engine.model_info.quantization)

    def _loaded(self) -> InferenceEngine:
        if self._engine is None:
            raise CannotMeasure("no model is loaded")
        return self._engine


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
    params = _greedy(WARM_UP_STEPS + steps + SPARE_STEPS + len(prompts))
    begun: set[RequestId] = set()
    waiting = {engine.add_request(InferenceRequest(tuple(prompt), params)) for prompt in prompts}
    while begun != waiting:
        begun |= {output.request_id for output in engine.step() if output.chunks}
    for _ in range(WARM_UP_STEPS):
        engine.step()
    tokens = 0
    started = time.perf_counter()
    for _ in range(steps):
        tokens += sum(len(chunk.token_ids) for output in engine.step() for chunk in output.chunks)
    seconds = time.perf_counter() - started
    engine.cancel_all()
    while engine.has_unfinished_requests():
        engine.step()
    if tokens < steps * len(prompts):
        raise CannotMeasure(f"only {tokens} tokens came out of {steps} steps of {len(prompts)} streams")
    return tokens, seconds


def _greedy(count: int) -> GenerationParams:
    return GenerationParams(max_tokens=count, temperature=0.0, ignore_eos=True)


if __name__ == "__main__":
    serve(SidecarPeer())
