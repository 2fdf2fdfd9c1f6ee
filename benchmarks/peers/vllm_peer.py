"""vLLM on the CPU, compiled as it is by default; runs in an environment of its own.

Its engine runs in this process: no other one, no server and no tokenizer lies
between a step and the clock.
"""

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.folders import CACHE_DIR
from benchmarks.peers.cases import WARM_UP_STEPS, Case, cache_tokens
from benchmarks.peers.wire import CannotMeasure, Measurement, serve

CONTEXT_LENGTH = 8192
MOST_STREAMS = 32
SPARE_TOKENS = 64


class VllmPeer:
    """vLLM as a contestant."""

    def __init__(self) -> None:
        self._engine: Any = None
        self._names = (f"request {number}" for number in count())

    def load(self, model: Path, options: Mapping[str, object], cases: Sequence[Case]) -> tuple[str, int]:
        """Load a folder of safetensors; the cache has room for the prompts of every case."""
        config = json.loads((model / "config.json").read_text())
        self._set_environment(int(str(options["threads"])), config, cases)
        import vllm
        from vllm.v1.engine.llm_engine import LLMEngine

        self._engine = LLMEngine.from_engine_args(
            vllm.EngineArgs(
                model=str(model),
                dtype="bfloat16",
                max_model_len=min(CONTEXT_LENGTH, config["max_position_embeddings"]),
                max_num_seqs=MOST_STREAMS,
                skip_tokenizer_init=True,
                enable_prefix_caching=True,
                disable_log_stats=True,
            )
        )
        return f"vLLM {vllm.__version__}, bfloat16", config["vocab_size"]

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        """Greedy continuation of one stream."""
        return [int(token) for token in self._answer(prompt, count).outputs[0].token_ids]

    def measure(self, case: Case, prompts: Sequence[Sequence[int]]) -> Measurement:
        """One case, once."""
        if case.kind == "arrival":
            return self._measure_arrival(case, prompts[:-1], prompts[-1])
        if case.kind == "prefill":
            started = time.perf_counter()
            for prompt in prompts:
                self._answer(prompt, 1)
            return Measurement(sum(map(len, prompts)), time.perf_counter() - started, "compiled")
        lengths = dict.fromkeys(self._begin(prompts, case.steps), 0)
        self._count_tokens(lengths)
        before = sum(lengths.values())
        started = time.perf_counter()
        for _ in range(case.steps):
            self._count_tokens(lengths)
        seconds = time.perf_counter() - started
        tokens = sum(lengths.values()) - before
        self._end(lengths)
        if tokens < case.streams * case.steps:
            raise CannotMeasure(
                f"only {tokens} tokens came out of {case.steps} steps of {case.streams} streams"
            )
        return Measurement(tokens, seconds, "compiled")

    def score(self, windows: Sequence[Sequence[int]]) -> float:
        """The log-probabilities of a prompt's tokens that vLLM gives on demand."""
        loss = 0.0
        for window in windows:
            found = self._answer(window, 1, prompt_logprobs=0).prompt_logprobs
            loss -= sum(entry[token].logprob for token, entry in zip(window[1:], found[1:], strict=True))
        return loss

    def _measure_arrival(
        self, case: Case, prompts: Sequence[Sequence[int]], newcomer: Sequence[int]
    ) -> Measurement:
        streams = self._begin(prompts, case.steps + len(newcomer))
        arrived = time.perf_counter()
        [newcomer_name] = self._add([newcomer], case.steps + SPARE_TOKENS)
        latest = dict.fromkeys(streams, arrived)
        first_token = longest_gap = 0.0
        steps = case.steps
        while steps:
            outputs = self._engine.step()
            now = time.perf_counter()
            steps -= first_token > 0
            for output in outputs:
                if output.request_id in latest:
                    longest_gap = max(longest_gap, now - latest[output.request_id])
                    latest[output.request_id] = now
                elif output.request_id == newcomer_name and not first_token:
                    first_token = now - arrived
        self._end([*streams, newcomer_name])
        return Measurement(case.context, first_token, "compiled", longest_gap)

    def _begin(self, prompts: Sequence[Sequence[int]], steps: int) -> list[str]:
        """Streams that decode side by side; their prompts come from the prefix cache."""
        for prompt in prompts:
            self._answer(prompt, 1)
        names = self._add(prompts, WARM_UP_STEPS + steps + SPARE_TOKENS)
        lengths = dict.fromkeys(names, 0)
        while not all(lengths.values()):
            self._count_tokens(lengths)
        for _ in range(WARM_UP_STEPS):
            self._engine.step()
        return names

    def _count_tokens(self, lengths: dict[str, int]) -> None:
        """One step; notes how many tokens each stream has."""
        for output in self._engine.step():
            lengths[output.request_id] = len(output.outputs[0].token_ids)

    def _end(self, names: Sequence[str] | Mapping[str, int]) -> None:
        self._engine.abort_request(list(names))
        while self._engine.has_unfinished_requests():
            self._engine.step()

    def _answer(self, prompt: Sequence[int], tokens: int, **options: object) -> Any:
        """The finished output of one request."""
        self._add([prompt], tokens, **options)
        outputs: list[Any] = []
        while self._engine.has_unfinished_requests():
            outputs += self._engine.step()
        return outputs[-1]

    def _add(self, prompts: Sequence[Sequence[int]], tokens: int, **options: object) -> list[str]:
        from vllm import SamplingParams

        parameters = SamplingParams(
            temperature=0.0, max_tokens=tokens, ignore_eos=True, detokenize=False, **options
        )
        names = [next(self._names) for _ in prompts]
        for name, prompt in zip(names, prompts, strict=True):
            self._engine.add_request(name, {"prompt_token_ids": list(prompt)}, parameters)
        return names

    def _set_environment(self, threads: int, config: Mapping[str, Any], cases: Sequence[Case]) -> None:
        """What vLLM reads from its environment when it is imported."""
        head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
        token_bytes = 4 * config["num_hidden_layers"] * config["num_key_value_heads"] * head
        room = max(cache_tokens(cases), 2 * CONTEXT_LENGTH) * token_bytes
        os.environ.update(
            VLLM_ENABLE_V1_MULTIPROCESSING="0",
            VLLM_CPU_KVCACHE_SPACE=str(math.ceil(room / 2**30)),
            # Otherwise a core is kept for a server that does not run here.
            VLLM_CPU_NUM_OF_RESERVED_CPU="0",
            OMP_NUM_THREADS=str(threads),
            VLLM_NO_USAGE_STATS="1",
            VLLM_CACHE_ROOT=str(CACHE_DIR / "vllm"),
            VLLM_LOGGING_LEVEL="WARNING",
            HF_HUB_OFFLINE="1",
        )


if __name__ == "__main__":
    serve(VllmPeer())
