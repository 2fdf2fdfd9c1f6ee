"""Who competes, on which file, with which settings, and by how much we mean to be ahead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.peers.cases import Case
from benchmarks.peers.environment import LLAMA_CPP, OURS, Environment

OUR_NAME = "sidecar"
LONG_CONTEXT = 4096


@dataclass(frozen=True, slots=True)
class Goals:
    """Our tokens per second divided by theirs, at least."""

    one_stream: float
    many_streams: float
    prefill: float
    long_context: float | None = None

    def of(self, case: Case) -> float | None:
        """The goal of one case."""
        if case.kind == "prefill":
            return self.prefill
        if case.context >= LONG_CONTEXT:
            return self.long_context
        return self.one_stream if case.streams == 1 else self.many_streams


@dataclass(frozen=True, slots=True)
class Contestant:
    """One column of the table. `requantized`: the type its file is turned into."""

    name: str
    module: str
    environment: Environment = OURS
    requantized: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    goals: Goals | None = None


def sidecar(executor: str, quantization: str) -> Contestant:
    """Our engine; `auto` is what a user gets who chooses nothing."""
    return Contestant(
        OUR_NAME,
        "benchmarks.peers.sidecar_peer",
        options={"executor": executor, "quantization": quantization},
    )


def llama_cpp(requantized: str | None, goals: Goals) -> Contestant:
    """llama.cpp, on the same file or on one of another type."""
    name = f"llama.cpp, {requantized or 'same file'}"
    return Contestant(name, "benchmarks.peers.llama_cpp_peer", LLAMA_CPP, requantized, goals=goals)


def transformers(dtype: str) -> Contestant:
    """transformers on dequantized weights."""
    return Contestant(
        f"transformers, {dtype}", "benchmarks.peers.transformers_peer", options={"dtype": dtype}
    )


SMALL_MODEL_PEERS: Sequence[Contestant] = (
    llama_cpp(None, Goals(2.5, 5.0, 6.0, long_context=2.0)),
    llama_cpp("Q4_0", Goals(2.0, 3.0, 3.0, long_context=2.0)),
    transformers("bfloat16"),
    transformers("float32"),
)
LARGE_MODEL_PEERS: Sequence[Contestant] = (
    llama_cpp(None, Goals(2.5, 5.0, 7.0)),
    llama_cpp("Q4_0", Goals(1.4, 2.5, 2.5)),
    llama_cpp("Q4_K_M", Goals(1.4, 2.5, 2.5)),
)
