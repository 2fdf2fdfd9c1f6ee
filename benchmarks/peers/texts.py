"""The text that perplexities are taken of, in the model's own tokens."""

from benchmarks.folders import PROJECT_DIR
from benchmarks.peers.model_files import ModelFile
from sidecar.models.open import open_model
from sidecar.text.tokenizer import Tokenizer

TEXT = PROJECT_DIR / "benchmarks" / "data" / "prose.txt"
WINDOW = 512


def text_windows(model: ModelFile, windows: int) -> list[list[int]]:
    """The beginning of the text in runs of WINDOW tokens. Raises ValueError if it is too short."""
    tokens = Tokenizer.from_source(open_model(model.path).tokenizer).encode(TEXT.read_text(encoding="utf-8"))
    if len(tokens) < windows * WINDOW:
        raise ValueError(f"{TEXT.name} has {len(tokens)} tokens; {windows} windows need {windows * WINDOW}")
    return [tokens[start : start + WINDOW] for start in range(0, windows * WINDOW, WINDOW)]
