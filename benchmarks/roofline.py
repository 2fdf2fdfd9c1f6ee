"""`make roofline`: how close a step of the native executor comes to what this machine can do.

Decoding reads every weight and the whole cache of every stream once a step; a
prompt multiplies every weight with every token. So a step can take no less time
than memory needs to deliver those bytes, and no less than the multiplications
need at the best rate seen. Each phase's time is the executor's own account.
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
from sidecar.executors.native.kind import NativeExecutorKind
from sidecar.executors.native.library import native_library
from sidecar.executors.threads import default_threads
from sidecar.models.open import open_model
from sidecar.models.source import ModelSource

PAGE = DOCUMENT.with_name("roofline.md")
BANDWIDTH_BYTES = 2**29
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
    times = []
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


def report(found: list[Found], bandwidth: float) -> str:
    """Two tables: how close to the limits, and where the time goes."""
    best = max(item.work.multiplications / item.seconds for item in found)
    limits = [
        (
            item.case.name,
            f"{item.case.streams * item.case.tokens / item.seconds:,.0f}",
            f"{item.work.bytes_read / 2**20:,.0f} MiB",
            f"{item.work.bytes_read / item.seconds / bandwidth:.0%}",
            f"{item.work.multiplications / 1e9:.2f}",
            f"{item.work.multiplications / item.seconds / best:.0%}",
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
        "of the best rate here",
    )
    return (
        f"{this_machine().sentence()}. Memory is read at {bandwidth / 1e9:.1f} GB/s by as many threads; "
        f"the best rate of multiplications is {best / 1e9:.0f} · 10⁹ a second.\n\n"
        f"{markdown_table(header, limits)}\n\n{markdown_table(('step', *names), shares)}"
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
    bandwidth: float = statistics.median(
        native_library().native_test_bandwidth(ctypes.c_int64(BANDWIDTH_BYTES), threads) for _ in range(5)
    )
    found = []
    for case in CASES:
        work = work_of(case, source, estimate.weights_bytes, estimate.bytes_per_block)
        found.append(measure(executor, case, work, seconds=arguments.seconds))
    executor.close()
    text = report(found, bandwidth)
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
