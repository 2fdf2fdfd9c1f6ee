"""Speed of the torch executor alone, straight at its interface, next to transformers in bfloat16.

Decoding 1, 8 and 32 streams and reading a prompt, greedy. The contestants take
turns, round by round, and of each the best round counts, so that what else runs
on the machine weighs on both alike; what matters is the ratio.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.quantization_gate import default_model, loaded
from benchmarks.tables import markdown_table
from sidecar.executors.base import BLOCK_SIZE, ExecutionBatch, ExecutionRow, SamplingParameters
from sidecar.executors.torch.executor import TorchExecutor
from sidecar.models.open import open_model

GREEDY = SamplingParameters(temperature=0.0)
STREAMS = (1, 8, 32)
DECODE_STEPS = 16
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Contestant:
    """Something that decodes and reads prompts; each function returns tokens per second."""

    decode: Callable[[int, int], float]
    """Streams and context length."""
    prefill: Callable[[int], float]
    """Prompt length."""


def executor_contestant(executor: TorchExecutor, context: int) -> Contestant:
    """The executor, every stream in adjacent blocks of its own."""
    blocks = (context + DECODE_STEPS) // BLOCK_SIZE + 1

    def decode(streams: int, context: int) -> float:
        rows = [
            ExecutionRow(
                [11 + stream], context, range(stream * blocks, (stream + 1) * blocks), sampling=GREEDY
            )
            for stream in range(streams)
        ]

        def step() -> None:
            executor.execute(ExecutionBatch(rows))
            for row in rows:
                row.start += 1

        return streams / _median_seconds(step, DECODE_STEPS)

    def prefill(tokens: int) -> float:
        table = range(-(-tokens // BLOCK_SIZE))
        row = ExecutionRow([token % 1000 + 10 for token in range(tokens)], 0, table, sampling=GREEDY)
        return tokens / _median_seconds(lambda: executor.execute(ExecutionBatch([row])), 1)

    return Contestant(decode, prefill)


def transformers_contestant(path: Path) -> Contestant:
    """transformers' own Llama in bfloat16 with its default cache, its weights those of the file."""
    from transformers import DynamicCache

    from benchmarks.peers.gguf_weights import load_transformers_model

    model = load_transformers_model(path, torch.bfloat16)

    @torch.inference_mode()
    def decode(streams: int, context: int) -> float:
        cache = DynamicCache()
        prompt = torch.arange(streams * context).remainder(1000).view(streams, context) + 10
        model(prompt, past_key_values=cache, use_cache=True, logits_to_keep=1)

        def step() -> None:
            model(prompt[:, :1], past_key_values=cache, use_cache=True).logits.argmax(dim=-1)

        return streams / _median_seconds(step, DECODE_STEPS)

    @torch.inference_mode()
    def prefill(tokens: int) -> float:
        prompt = torch.arange(tokens).remainder(1000)[None] + 10
        return tokens / _median_seconds(lambda: model(prompt, use_cache=True, logits_to_keep=1), 1)

    return Contestant(decode, prefill)


def measure(
    contestants: Mapping[str, Contestant], context: int, prompt: int, rounds: int
) -> dict[str, dict[str, float]]:
    """The best round of every contestant in every case: case, contestant, tokens per second."""
    cases: dict[str, Callable[[Contestant], float]] = {
        f"decode {streams} at {context}": lambda contestant, streams=streams: contestant.decode(
            streams, context
        )
        for streams in STREAMS
    }
    cases[f"prompt of {prompt}"] = lambda contestant: contestant.prefill(prompt)
    best: dict[str, dict[str, float]] = {case: dict.fromkeys(contestants, 0.0) for case in cases}
    for _ in range(rounds):
        for case, run in cases.items():
            for name, contestant in contestants.items():
                best[case][name] = max(best[case][name], run(contestant))
    return best


def _median_seconds(step: Callable[[], object], count: int) -> float:
    seconds = []
    for _ in range(count):
        begin = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - begin)
    return sorted(seconds)[len(seconds) // 2]


def main() -> None:
    """Print tokens per second, and how many times those of transformers they are."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--model", type=Path, help="a model; the default one otherwise")
    parser.add_argument("--quantization", default="int4")
    parser.add_argument("--context", type=int, default=100, help="tokens before the decoded ones")
    parser.add_argument("--prompt", type=int, default=512, help="tokens of the prompt")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--transformers", action="store_true", help="compare with transformers in bfloat16")
    arguments = parser.parse_args()
    source = open_model(arguments.model or default_model())
    capacity = max(STREAMS) * (arguments.context + DECODE_STEPS + BLOCK_SIZE) + arguments.prompt
    with loaded(source, arguments.quantization, capacity) as executor:
        contestants = {arguments.quantization: executor_contestant(executor, arguments.context)}
        if arguments.transformers:
            contestants["transformers bfloat16"] = transformers_contestant(source.path)
        best = measure(contestants, arguments.context, arguments.prompt, arguments.rounds)
    rows = []
    for case, speeds in best.items():
        values = list(speeds.values())
        ratio = [f"{values[0] / values[1]:.2f}"] if len(values) > 1 else []
        rows.append([case, *(f"{value:.1f}" for value in values), *ratio])
    print(
        markdown_table(
            ("tokens per second", *contestants, *(["ratio"] if len(contestants) > 1 else [])), rows
        )
    )


if __name__ == "__main__":
    main()
