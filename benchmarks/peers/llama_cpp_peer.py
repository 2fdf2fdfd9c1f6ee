"""llama.cpp through the low-level functions of llama-cpp-python; runs in an environment of its own.

Nothing of Python lies between two steps but filling a batch and the argmax of
its logits. Every stream has a cache of its own, as llama.cpp's own batched
benchmark has it; all of them are copies of one prompt. Flash attention is tried
on and off for each case, once, and the faster of the two is measured.
"""

import ctypes
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np

from benchmarks.peers.cases import WARM_UP_STEPS, Case
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
        self.streams = streams
        self.flash_attention = flash_attention
        self._context = llama_cpp.llama_init_from_model(model, parameters)
        if not self._context:
            raise CannotMeasure(f"llama.cpp could not make a context of {parameters.n_ctx} tokens")
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
        self._batch = llama_cpp.llama_batch_init(BATCH_TOKENS, 0, 1)

    def prefill(self, prompt: Sequence[int]) -> int:
        """Compute a prompt as stream 0 from position 0; returns the likeliest next token."""
        for start in range(0, len(prompt), BATCH_TOKENS):
            part = prompt[start : start + BATCH_TOKENS]
            for index, token in enumerate(part):
                self._put(index, token, start + index, 0, logits=start + index == len(prompt) - 1)
            self._decode(len(part))
        return self._chosen(1)[0]

    def step(self, tokens: Sequence[int], position: int, newcomer: Sequence[int] = ()) -> list[int]:
        """Compute one token of every stream, and a prompt as one stream more; returns the next tokens."""
        for stream, token in enumerate(tokens):
            self._put(stream, token, position, stream, logits=True)
        for index, token in enumerate(newcomer):
            last = index == len(newcomer) - 1
            self._put(len(tokens) + index, token, index, len(tokens), logits=last)
        self._decode(len(tokens) + len(newcomer))
        return self._chosen(len(tokens) + bool(newcomer))

    def log_likelihood(self, window: Sequence[int]) -> float:
        """The sum of log p of every token but the first, given those before it; cuts stream 0 to nothing."""
        self.cut(1, 0)
        for index, token in enumerate(window):
            self._put(index, token, index, 0, logits=True)
        self._decode(len(window))
        logits = self._logits(len(window))[:-1].astype(np.float64)
        peaks = logits.max(axis=1)
        totals = peaks + np.log(np.exp(logits - peaks[:, None]).sum(axis=1))
        return float((logits[np.arange(len(window) - 1), window[1:]] - totals).sum())

    def state(self) -> bytes:
        """What stream 0 holds."""
        size = llama_cpp.llama_state_seq_get_size(self._context, 0)
        content = (ctypes.c_uint8 * size)()
        llama_cpp.llama_state_seq_get_data(self._context, content, size, 0)
        return bytes(content)

    def fill(self, state: bytes, streams: int) -> None:
        """Let every stream hold a state."""
        content = (ctypes.c_uint8 * len(state)).from_buffer_copy(state)
        if not llama_cpp.llama_state_seq_set_data(self._context, content, len(state), 0):
            raise CannotMeasure("llama.cpp did not take back the state it gave")
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
        chosen: list[int] = self._logits(rows).argmax(axis=1).tolist()
        return chosen

    def _logits(self, rows: int) -> Any:
        return np.ctypeslib.as_array(llama_cpp.llama_get_logits(self._context), (rows, self._vocabulary))


@dataclass(frozen=True, slots=True)
class PreparedPrompt:
    """The cache of a prompt, and the token after it."""

    state: bytes
    next_token: int


class LlamaCppPeer:
    """llama.cpp as a contestant."""

    def __init__(self) -> None:
        self._model: Any = None
        self._threads = 1
        self._prepared: dict[tuple[int, int, bool], PreparedPrompt] = {}
        self._flash: dict[Case, bool] = {}

    def load(self, model: Path, options: Mapping[str, object], cases: Sequence[Case]) -> tuple[str, int]:
        """Load a GGUF file; contexts are made when a case needs them."""
        llama_cpp.llama_log_set(_drop_log, None)
        llama_cpp.llama_backend_init()
        self._threads = int(str(options["threads"]))
        self._model = llama_cpp.llama_model_load_from_file(
            str(model).encode(), llama_cpp.llama_model_default_params()
        )
        if not self._model:
            raise CannotMeasure(f"llama.cpp could not load {model}")
        vocabulary: int = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(self._model))
        return f"llama.cpp of llama-cpp-python {llama_cpp.__version__}", vocabulary

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        """Greedy continuation of one stream."""
        with self._context(1, len(prompt) + count, flash=True) as context:
            tokens = [context.prefill(prompt)]
            for position in range(len(prompt), len(prompt) + count - 1):
                tokens += context.step(tokens[-1:], position)
        return tokens

    def measure(self, case: Case, prompts: Sequence[Sequence[int]]) -> Measurement:
        """One case, once."""
        if case.kind == "prefill":
            flash = self._faster(case, 1, lambda flash: self._prefill_seconds(prompts[:1], flash=flash))
            seconds = self._prefill_seconds(prompts, flash=flash)
            return Measurement(case.context * case.steps, seconds, _settings(flash=flash))
        if case.kind == "arrival":
            flash = self._faster(case, 1, lambda flash: self._arrival_seconds(case, prompts, flash=flash)[0])
            first_token, longest_gap = self._arrival_seconds(case, prompts, flash=flash)
            return Measurement(case.context, first_token, _settings(flash=flash), longest_gap)
        flash = self._faster(
            case, 2, lambda flash: self._decode_seconds(case, prompts[0], TRIAL_STEPS, flash=flash)
        )
        seconds = self._decode_seconds(case, prompts[0], case.steps, flash=flash)
        return Measurement(case.streams * case.steps, seconds, _settings(flash=flash))

    def score(self, windows: Sequence[Sequence[int]]) -> float:
        """Each window is one batch with all its logits."""
        with self._context(1, max(map(len, windows)), flash=True) as context:
            return -sum(context.log_likelihood(window) for window in windows)

    def _faster(self, case: Case, trials: int, seconds: Callable[[bool], float]) -> bool:
        """Whether flash attention is the quicker way in this case; trials are taken in turn."""
        if case not in self._flash:
            tried = [(seconds(flash), flash) for flash in (True, False) * trials]
            self._flash[case] = min(tried)[1]
        return self._flash[case]

    def _decode_seconds(self, case: Case, prompt: Sequence[int], steps: int, *, flash: bool) -> float:
        length = case.context + WARM_UP_STEPS + steps
        with self._context(case.streams, length, flash=flash) as context:
            tokens = self._fill(context, prompt, case.streams)
            for position in range(case.context, case.context + WARM_UP_STEPS):
                tokens = context.step(tokens, position)
            started = time.perf_counter()
            for position in range(case.context + WARM_UP_STEPS, length):
                tokens = context.step(tokens, position)
            return time.perf_counter() - started

    def _prefill_seconds(self, prompts: Sequence[Sequence[int]], *, flash: bool) -> float:
        seconds = 0.0
        with self._context(1, max(map(len, prompts)), flash=flash) as context:
            for prompt in prompts:
                context.cut(1, 0)
                started = time.perf_counter()
                context.prefill(prompt)
                seconds += time.perf_counter() - started
        return seconds

    def _arrival_seconds(
        self, case: Case, prompts: Sequence[Sequence[int]], *, flash: bool
    ) -> tuple[float, float]:
        """As llama.cpp's server does it: one batch holds every running stream's token and the new prompt."""
        *running, newcomer = prompts
        begin = len(running[0])
        with self._context(len(prompts), begin + len(newcomer) + case.steps, flash=flash) as context:
            tokens = self._fill(context, running[0], len(running))
            for position in range(begin, begin + WARM_UP_STEPS):
                tokens = context.step(tokens, position)
            started = time.perf_counter()
            tokens = context.step(tokens, begin + WARM_UP_STEPS, newcomer)
            seconds = time.perf_counter() - started
        return seconds, seconds

    def _fill(self, context: LlamaContext, prompt: Sequence[int], streams: int) -> list[int]:
        """Let streams hold a prompt; returns their next tokens.

        It is computed once for contexts of a kind: they take back only what one like them gave.
        """
        key = context.streams, len(prompt), context.flash_attention
        if key not in self._prepared:
            next_token = context.prefill(prompt)
            self._prepared[key] = PreparedPrompt(context.state(), next_token)
            context.cut(1, 0)
        context.fill(self._prepared[key].state, streams)
        return [self._prepared[key].next_token] * streams

    @contextmanager
    def _context(self, streams: int, length: int, *, flash: bool) -> Iterator[LlamaContext]:
        context = LlamaContext(self._model, streams, length, self._threads, flash_attention=flash)
        try:
            yield context
        finally:
            context.close()


def _settings(*, flash: bool) -> str:
    return f"flash attention {'on' if flash else 'off'}"


def _rounded_up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


if __name__ == "__main__":
    serve(LlamaCppPeer())
