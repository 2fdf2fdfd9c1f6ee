"""What a model file says about itself, read from its header alone; the model need not be one we can run."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sidecar.errors import SidecarError
from sidecar.models.folder import chat_template_of, is_model_folder
from sidecar.models.gguf import read_gguf
from sidecar.models.json_file import read_object
from sidecar.models.open import open_model
from sidecar.models.safetensors import read_model_weights


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Facts for people. `quantization` maps a storage type to its share of all elements, the largest first.

    `problem` says why the model cannot be run here; None when it can.
    """

    path: Path
    file_format: str
    name: str | None
    license: str | None
    architecture: str
    parameter_count: int
    quantization: Mapping[str, float]
    context_length: int | None
    file_bytes: int
    has_chat_template: bool
    problem: str | None


def inspect_model(path: Path) -> ModelFacts:
    """The facts of a .gguf file or a model folder. Raises NotFound, InvalidModelFile or Unsupported."""
    return _inspect_folder(path) if is_model_folder(path) else _inspect_gguf(path)


def _inspect_gguf(path: Path) -> ModelFacts:
    file = read_gguf(path)
    architecture = _text(file.metadata.get("general.architecture")) or "unknown"
    return ModelFacts(
        path=path,
        file_format="gguf",
        name=_text(file.metadata.get("general.name")),
        license=_text(file.metadata.get("general.license")),
        architecture=architecture,
        parameter_count=sum(math.prod(tensor.shape) for tensor in file.tensors.values()),
        quantization=_shares((tensor.type_name, tensor.shape) for tensor in file.tensors.values()),
        context_length=_number(file.metadata.get(f"{architecture}.context_length")),
        file_bytes=path.stat().st_size,
        has_chat_template=bool(file.metadata.get("tokenizer.chat_template")),
        problem=_problem(path),
    )


def _inspect_folder(folder: Path) -> ModelFacts:
    config = read_object(folder / "config.json")
    architectures = config.get("architectures")
    named = _text(architectures[0]) if isinstance(architectures, list) and architectures else None
    weights = read_model_weights(folder)
    return ModelFacts(
        path=folder,
        file_format="safetensors",
        name=folder.name,
        license=None,
        architecture=named or "unknown",
        parameter_count=sum(math.prod(tensor.shape) for tensor in weights.values()),
        quantization=_shares((tensor.type_name, tensor.shape) for tensor in weights.values()),
        context_length=_number(config.get("max_position_embeddings")),
        file_bytes=sum(file.stat().st_size for file in folder.glob("*.safetensors")),
        has_chat_template=chat_template_of(folder) is not None,
        problem=_problem(folder),
    )


def _problem(path: Path) -> str | None:
    try:
        open_model(path)
    except SidecarError as error:
        return error.message
    return None


def _shares(tensors: Iterable[tuple[str, tuple[int, ...]]]) -> dict[str, float]:
    elements: dict[str, int] = {}
    for type_name, shape in tensors:
        elements[type_name] = elements.get(type_name, 0) + math.prod(shape)
    total = sum(elements.values()) or 1
    return {name: count / total for name, count in sorted(elements.items(), key=lambda item: -item[1])}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
