"""llama.cpp through the low-level functions of llama-cpp-python; runs in an environment of its own.

Nothing of Python lies between two steps but filling a batch and the argmax of
its logits. Every stream has a cache of its own, as llama.cpp's own batched
benchmark has it. Flash attention is tried on and off for each case, once, and
the faster of the two is measured.
"""

import ctypes
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np

from benchmarks.peers.cases import WARM_UP_STEPS, Case, random_prompt
from benchmarks.peers.wire import CannotMeasure, Measurement, serve

BATCH_TOKENS = 2048
MICRO_BATCH_TOKENS = 512
TRIAL_STEPS = 6


@llama_cpp.llama_log_callback
def _drop_log(_level: int, _text: bytes, _data: ctypes.c_void_p) -> None:
    """llama.cpp tells a lot."""


class LlamaContext:
    """One llama_context with `streams` sequences of up to `length` tokens."""

    def __init__(self, model: Any, streams: int, length: int, threads: int, *, flash_attention: bool) -> None:
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = streams * _rounded_up(length, 256)
        parameters.n_batch = BATCH_TOKENS
        parameters.n_ubatch = MICRO_BATCH_TOKENS
        parameters.n_seq_max = streams
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.flash_attn_type = (
            llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED
            if flash_attention
            else llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        )
        parameters.kv_unified = False
        parameters.no_perf = True
        self.flash_attention = flash_attention
        self._context = llama_cpp.llama_init_from_model(model, parameters)
        if not self._context:
            raise CannotMeasure(f"llama.cpp could not make a context of {parameters.n_ctx} tokens")
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
        self._batch = llama_cpp.llama_batch_init(BATCH_TOKENS, 0, 1)

    def prefill(self, prompt: Sequence[int], stream: int = 0) -> int:
        """Compute a prompt from position 0; returns the likeliest next token."""
        for start in range(0, len(prompt), BATCH_TOKENS):
            part = prompt[start : start + BATCH_TOKENS]
            for index, token in enumerate(part):
                self._put(index, token, start + index, stream, logits=start + index == len(prompt) - 1)
            self._decode(len(part))
        return self._chosen(1)[0]

    def step(self, tokens: Sequence[int], position: int) -> list[int]:
        """Compute one token of every stream; returns the likeliest next ones."""
        for stream, token in enumerate(tokens):
            self._put(stream, token, position, stream, logits=True)
        self._decode(len(tokens))
        return self._chosen(len(tokens))

    def copy_first_stream(self, streams: int) -> None:
        """Give every other stream a copy of what stream 0 holds."""
        for stream in range(1, streams):
            llama_cpp.llama_memory_seq_cp(self._memory, 0, stream, -1, -1)

    def cut(self, streams: int, length: int) -> None:
        """Forget what lies at `length` and after it."""
        for stream in range(streams):
            llama_cpp.llama_memory_seq_rm(self._memory, stream, length, -1)

    def close(self) -> None:
        """Free the context and its cache."""
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self._context)

    def _put(self, index: int, token: int, position: int, stream: int, *, logits: bool) -> None:
        batch = self._batch
        batch.token[index] = token
        batch.pos[index] = position
        batch.n_seq_id[index] = 1
        batch.seq_id[index][0] = stream
        batch.logits[index] = logits

    def _decode(self, count: int) -> None:
        self._batch.n_tokens = count
        status = llama_cpp.llama_decode(self._context, self._batch)
        if status != 0:
            raise CannotMeasure(f"llama_decode of {count} tokens returned {status}")

    def _chosen(self, rows: int) -> list[int]:
        logits = np.ctypeslib.as_array(llama_cpp.llama_get_logits(self._context), (rows, self._vocabulary))
        chosen: list[int] = logits.argmax(axis=1).tolist()
        return chosen


@dataclass(slots=True)
class PreparedDecode:
    """A context whose streams hold their prompts, and each stream's next token."""

    context: LlamaContext
    tokens: list[int]


class LlamaCppPeer:
    """llama.cpp as a contestant."""

    def __init__(self) -> None:
        self._model: Any = None
        self._threads = 1
        self._prepared: dict[Case, PreparedDecode] = {}
        self._prefill_contexts: dict[Case, LlamaContext] = {}

    def load(self, model: Path, options: Mapping[str, object], cases: Sequence[Case]) -> str:
        """Load a GGUF file; contexts are made when a case first needs them."""
        llama_cpp.llama_log_set(_drop_log, None)
        llama_cpp.llama_backend_init()
        self._threads = int(str(options["threads"]))
        self._model = llama_cpp.llama_model_load_from_file(
            str(model).encode(), llama_cpp.llama_model_default_params()
        )
        if not self._model:
            raise CannotMeasure(f"llama.cpp could not load {model}")
        # The first step touches every weight, as the first request of an application would.
        context = self._context(1, 256, flash_attention=True)
        context.prefill([1])
        context.close()
        return f"llama.cpp of llama-cpp-python {llama_cpp.__version__}"

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        """Greedy continuation of one stream."""
        context = self._context(1, len(prompt) + count, flash_attention=True)
        tokens = [context.prefill(prompt)]
        for position in range(len(prompt), len(prompt) + count - 1):
            tokens += context.step(tokens[-1:], position)
        context.close()
        return tokens

    def measure(self, case: Case, round_number: int) -> Measurement:
        """One case, once."""
        if case.kind == "prefill":
            return self._measure_prefill(case, round_number)
        prepared = self._prepared.get(case) or self._prepare_decode(case)
        seconds = _timed_decode(prepared, case, case.steps)
        return Measurement(case.streams * case.steps, seconds, _settings(prepared.context))

    def _measure_prefill(self, case: Case, round_number: int) -> Measurement:
        prompts = [
            random_prompt(case.context, self._vocabulary(), name=f"prefill {round_number} {index}")
            for index in range(case.steps)
        ]
        context = self._prefill_contexts.get(case)
        if context is None:
            context = self._prefill_contexts[case] = self._faster(
                [self._context(1, case.context, flash_attention=flash) for flash in (True, False)],
                lambda candidate: _timed_prefill(candidate, prompts[:1]),
            )
        return Measurement(case.context * case.steps, _timed_prefill(context, prompts), _settings(context))

    def _prepare_decode(self, case: Case) -> PreparedDecode:
        prompt = random_prompt(case.context, self._vocabulary(), name="stream 0")
        candidates = {}
        for flash in (True, False):
            length = case.context + WARM_UP_STEPS + case.steps
            context = self._context(case.streams, length, flash_attention=flash)
            token = context.prefill(prompt)
            context.copy_first_stream(case.streams)
            candidates[context] = PreparedDecode(context, [token] * case.streams)
        chosen = self._faster(
            list(candidates), lambda context: _timed_decode(candidates[context], case, TRIAL_STEPS)
        )
        self._prepared[case] = candidates[chosen]
        return candidates[chosen]

    def _faster(self, contexts: list[LlamaContext], seconds: Callable[[LlamaContext], float]) -> LlamaContext:
        """The context that was quicker in two trials each, taken in turn; the others are closed."""
        trials = [(seconds(context), index) for index, context in [*enumerate(contexts)] * 2]
        _, fastest = min(trials)
        for index, context in enumerate(contexts):
            if index != fastest:
                context.close()
        return contexts[fastest]

    def _context(self, streams: int, length: int, *, flash_attention: bool) -> LlamaContext:
        return LlamaContext(self._model, streams, length, self._threads, flash_attention=flash_attention)

    def _vocabulary(self) -> int:
        vocabulary: int = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model))
        return vocabulary


def _timed_decode(prepared: PreparedDecode, case: Case, steps: int) -> float:
    context, tokens = prepared.context, prepared.tokens
    positions = itertools.count(case.context)
    context.cut(case.streams, case.context)
    for _ in range(WARM_UP_STEPS):
        tokens = context.step(tokens, next(positions))
    started = time.perf_counter()
    for _ in range(steps):
        tokens = context.step(tokens, next(positions))
    return time.perf_counter() - started


def _timed_prefill(context: LlamaContext, prompts: Sequence[Sequence[int]]) -> float:
    seconds = 0.0
    for prompt in prompts:
        context.cut(1, 0)
        started = time.perf_counter()
        context.prefill(prompt)
        seconds += time.perf_counter() - started
    return seconds


def _settings(context: LlamaContext) -> str:
    return f"flash attention {'on' if context.flash_attention else 'off'}"


def _rounded_up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


if __name__ == "__main__":
    serve(LlamaCppPeer())
