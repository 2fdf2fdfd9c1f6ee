"""Who competes, on which weights, with which settings, and by how much we mean to be ahead."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.peers.cases import Case
from benchmarks.peers.environment import LLAMA_CPP, NODE_LLAMA_CPP, OURS, VLLM_CPU, AnyEnvironment

OUR_NAME = "sidecar"
LONG_CONTEXT = 4096
SAFETENSORS = "bfloat16 safetensors"


@dataclass(frozen=True, slots=True)
class Goals:
    """Our tokens per second divided by theirs, at least."""

    one_stream: float
    many_streams: float
    prefill: float
    long_context: float | None = None

    def of(self, case: Case) -> float | None:
        """The goal of one case; arrivals have none."""
        if case.kind == "arrival":
            return None
        if case.kind == "prefill":
            return self.prefill
        if case.context >= LONG_CONTEXT:
            return self.long_context
        return self.one_stream if case.streams == 1 else self.many_streams


@dataclass(frozen=True, slots=True)
class Contestant:
    """One column of the tables.

    `program` is a module for Python, a file for Node. `weights` is what the
    model file is turned into for it; None is the file itself. A `reference`
    shows what the exact weights say and is not timed.
    """

    name: str
    program: str
    environment: AnyEnvironment = OURS
    weights: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    goals: Goals | None = None
    reference: bool = False


def sidecar(executor: str, quantization: str, weights: str | None = None) -> Contestant:
    """Our engine; `auto` is what a user gets who chooses nothing."""
    return Contestant(
        f"{OUR_NAME}, {weights}" if weights else OUR_NAME,
        "benchmarks.peers.sidecar_peer",
        weights=weights,
        options={"executor": executor, "quantization": quantization},
    )


def llama_cpp(weights: str | None, goals: Goals | None = None) -> Contestant:
    """llama.cpp, on the same file or on one of another type."""
    name = f"llama.cpp, {weights or 'same file'}"
    return Contestant(name, "benchmarks.peers.llama_cpp_peer", LLAMA_CPP, weights, goals=goals)


def transformers(dtype: str, *, reference: bool = False) -> Contestant:
    """transformers on dequantized weights."""
    return Contestant(
        f"transformers, {dtype}",
        "benchmarks.peers.transformers_peer",
        options={"dtype": dtype},
        reference=reference,
    )


VLLM = Contestant("vLLM, bfloat16", "benchmarks.peers.vllm_peer", VLLM_CPU, SAFETENSORS)
NODE = Contestant("node-llama-cpp, same file", "benchmarks/peers/node_llama_cpp_peer.mjs", NODE_LLAMA_CPP)
SMALL_MODEL_PEERS: Sequence[Contestant] = (
    llama_cpp(None, Goals(2.5, 5.0, 6.0, long_context=2.0)),
    llama_cpp("Q4_0", Goals(2.0, 3.0, 3.0, long_context=2.0)),
    llama_cpp("Q8_0"),
    NODE,
    VLLM,
    transformers("bfloat16"),
    transformers("float32", reference=True),
)
LARGE_MODEL_PEERS: Sequence[Contestant] = (
    llama_cpp(None, Goals(2.5, 5.0, 7.0)),
    llama_cpp("Q4_0", Goals(1.4, 2.5, 2.5)),
    llama_cpp("Q4_K_M", Goals(1.4, 2.5, 2.5)),
)
LARGE_MODEL_WEIGHTS = ("Q4_0", "Q4_K_M")
"""Of the larger model our engine runs these too."""
