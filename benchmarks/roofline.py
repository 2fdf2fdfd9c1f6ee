"""`make roofline`: how close a step of the native executor comes to what this machine can do.

Decoding reads every weight and the whole cache of every stream once a step; a
prompt multiplies every weight with every token. So a step can take no less time
than memory needs to deliver those bytes, and no less than the multiplications
need when weights and tokens lie in the caches. Each phase's time is the executor's own account.
"""

import argparse
import ctypes
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.folders import DOCUMENT
from benchmarks.machine import other_load_percent, this_machine
from benchmarks.quantization_gate import default_model
from benchmarks.tables import markdown_table, replace_section
from sidecar.executors.base import (
    BLOCK_SIZE,
    ConvertedModel,
    ExecutionBatch,
    ExecutionRow,
    ExecutorOptions,
    SamplingParameters,
)
from sidecar.executors.native.executor import NativeExecutor
from sidecar.executors.native.formats import NUMBERS
from sidecar.executors.native.kind import NativeExecutorKind
from sidecar.executors.native.library import native_library
from sidecar.executors.threads import default_threads
from sidecar.models.config import DType
from sidecar.models.open import open_model
from sidecar.models.source import ModelSource

PAGE = DOCUMENT.with_name("roofline.md")
BANDWIDTH_BYTES = 2**29
STEP_TOKENS = 32
"""Tokens that share each weight where multiplications are measured: more make no difference."""
GREEDY = SamplingParameters(temperature=0.0)


@dataclass(frozen=True, slots=True)
class Case:
    """`streams` rows that each compute `tokens` tokens behind `context` earlier ones."""

    streams: int
    tokens: int
    context: int

    @property
    def name(self) -> str:
        """As the table says it."""
        if self.tokens > 1:
            return f"prompt of {self.tokens}" + (f" behind {self.context:,}" if self.context else "")
        plural = "s" if self.streams > 1 else ""
        return f"{self.streams} stream{plural}, context {self.context:,}"


CASES = (
    Case(1, 1, 64),
    Case(8, 1, 64),
    Case(32, 1, 64),
    Case(1, 1, 1024),
    Case(8, 1, 1024),
    Case(1, 1, 4096),
    Case(8, 1, 4096),
    Case(1, 32, 0),
    Case(1, 512, 0),
    Case(1, 512, 3488),
)


@dataclass(frozen=True, slots=True)
class Work:
    """What a step must read and multiply at the least."""

    bytes_read: int
    multiplications: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What the machine does at best: bytes read and multiplications, a second."""

    bandwidth: float
    multiplications: float


@dataclass(frozen=True, slots=True)
class Found:
    """A measured case: seconds of a step, and of each phase in it."""

    case: Case
    work: Work
    seconds: float
    phases: dict[str, float]


def work_of(case: Case, source: ModelSource, weights_bytes: int, block_bytes: int) -> Work:
    """Weights and cache once; every weight with every token, every query with every key and value."""
    config = source.config
    tokens = case.streams * case.tokens
    positions = case.context + (case.tokens + 1) / 2
    head = config.vocab_size * config.hidden_size
    layers = config.parameter_count - head * (1 if config.tie_word_embeddings else 2)
    attention = 2 * config.num_layers * config.num_attention_heads * config.head_dim * positions
    return Work(
        bytes_read=weights_bytes + case.streams * (case.context // BLOCK_SIZE + 1) * block_bytes,
        multiplications=int(tokens * (layers + attention) + case.streams * head),
    )


def measure(executor: NativeExecutor, case: Case, work: Work, *, seconds: float) -> Found:
    """Steps of a case for about so many seconds; their median."""
    blocks = -(-(case.context + case.tokens) // BLOCK_SIZE)
    times: list[float] = []
    executor.execute(_batch(case, blocks))
    executor.take_times()
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends or len(times) < 3:
        batch = _batch(case, blocks)
        began = time.perf_counter()
        executor.execute(batch)
        times.append(time.perf_counter() - began)
    phases = executor.take_times()
    return Found(case, work, statistics.median(times), phases)


def measure_limits(kernel_path: str, quantization: str, threads: int) -> Limits:
    """The limits, with as many threads and the layers' format of weights: the medians of five."""
    library = native_library()
    number = NUMBERS[DType(quantization.upper())]
    return Limits(
        bandwidth=statistics.median(
            library.native_test_bandwidth(ctypes.c_int64(BANDWIDTH_BYTES), threads) for _ in range(5)
        ),
        multiplications=statistics.median(
            library.native_test_multiplications(kernel_path.encode(), number, STEP_TOKENS, threads)
            for _ in range(5)
        ),
    )


def report(found: list[Found], limits: Limits) -> str:
    """Two tables: how close to the limits, and where the time goes."""
    reached = [
        (
            item.case.name,
            f"{item.case.streams * item.case.tokens / item.seconds:,.0f}",
            f"{item.work.bytes_read / 2**20:,.0f} MiB",
            f"{item.work.bytes_read / item.seconds / limits.bandwidth:.0%}",
            f"{item.work.multiplications / 1e9:.2f}",
            f"{item.work.multiplications / item.seconds / limits.multiplications:.0%}",
        )
        for item in found
    ]
    names = [name for name in found[0].phases if any(item.phases[name] for item in found)]
    shares = [
        (item.case.name, *(f"{item.phases[name] / sum(item.phases.values()):.0%}" for name in names))
        for item in found
    ]
    header = (
        "step",
        "tokens/s",
        "read",
        "of the memory's speed",
        "multiplications, 10⁹",
        "of the kernel's rate",
    )
    return (
        f"{this_machine().sentence()}. Memory is read at {limits.bandwidth / 1e9:.1f} GB/s by as many "
        f"threads; in the caches they make {limits.multiplications / 1e9:.0f} · 10⁹ multiplications a "
        f"second.\n\n"
        f"{markdown_table(header, reached)}\n\n{markdown_table(('step', *names), shares)}"
    )


def main() -> None:
    """Measure and print; with --write-docs put it into the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.roofline", description=__doc__)
    parser.add_argument("--model", type=Path, help="a model; the default one otherwise")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each case")
    parser.add_argument("--write-docs", action="store_true", help=f"write the tables into {PAGE}")
    arguments = parser.parse_args()
    source = open_model(arguments.model or default_model())
    quantization = NativeExecutorKind().quantizations(source)[0]
    threads = default_threads()
    executor = NativeExecutor(ExecutorOptions("cpu", threads))
    estimate = NativeExecutorKind().memory_estimate(source, quantization, ExecutorOptions())
    executor.load(ConvertedModel(source, quantization), lambda fraction, stage: None)
    executor.allocate_cache(
        max(case.streams * (case.context + case.tokens + BLOCK_SIZE) for case in CASES) // BLOCK_SIZE
    )
    print(f"other work on this machine: {other_load_percent():.0f} %", flush=True)
    limits = measure_limits(executor.kernel_path, quantization, threads)
    found = []
    for case in CASES:
        work = work_of(case, source, estimate.weights_bytes, estimate.bytes_per_block)
        found.append(measure(executor, case, work, seconds=arguments.seconds))
    executor.close()
    text = report(found, limits)
    print(text)
    if arguments.write_docs:
        replace_section(PAGE, "roofline", text)


def _batch(case: Case, blocks: int) -> ExecutionBatch:
    rows = [
        ExecutionRow(
            token_ids=[(index * 7919 + stream) % 30000 + 300 for index in range(case.tokens)],
            start=case.context,
            block_table=range(stream * blocks, (stream + 1) * blocks),
            sampling=GREEDY,
        )
        for stream in range(case.streams)
    ]
    return ExecutionBatch(rows)


if __name__ == "__main__":
    main()
