"""Opening a model: one entry for every file format.

Nothing is copied. The tensors' memoryviews keep their mapping alive; it goes
when the ModelSource and every view taken from it are gone (see `mapping.py`).
"""

from pathlib import Path

from sidecar.errors import InvalidModelFile, NotFound, Unsupported
from sidecar.models import gguf_config
from sidecar.models.fields import Fields
from sidecar.models.folder import open_folder
from sidecar.models.gguf import GGUFFile, read_gguf
from sidecar.models.names import canonical_name, check_tensors, is_ignored
from sidecar.models.source import ModelSource, StoredTensor

_FACTS = ("general.name", "general.license", "general.file_type", "general.size_label")


def open_model(path: Path) -> ModelSource:
    """Open a .gguf file, or a folder with config.json and safetensors.

    Raises NotFound, InvalidModelFile for a damaged model, Unsupported for a
    sound one of a kind that cannot be run here.
    """
    if path.is_dir():
        return open_folder(path)
    if not path.exists():
        raise NotFound(f"{path}: there is no such file or folder")
    if path.suffix.lower() != ".gguf":
        raise Unsupported(f"{path}: a model is a .gguf file or a folder with config.json and safetensors")
    return source_of_gguf(read_gguf(path))


def source_of_gguf(file: GGUFFile) -> ModelSource:
    """A parsed GGUF file as a ModelSource, its weights under canonical names and checked."""
    tokenizer = gguf_config.tokenizer_source(file)
    config = gguf_config.model_config(file, tokenizer)
    tensors: dict[str, StoredTensor] = {}
    for tensor in file.tensors.values():
        if is_ignored(tensor.name):
            continue
        name = canonical_name(tensor.name) or tensor.name
        if name in tensors:
            raise InvalidModelFile(file.path, f"has two tensors that mean {name!r}")
        tensors[name] = file.stored_tensor(tensor, name)
    if len(tokenizer.tokens) > config.vocab_size:
        raise InvalidModelFile(
            file.path, f"has {len(tokenizer.tokens)} tokens for a vocabulary of {config.vocab_size}"
        )
    check_tensors(file.path, config, tensors)
    facts = Fields(file.path, file.metadata)
    return ModelSource(
        path=file.path,
        file_format="gguf",
        config=config,
        tensors=tensors,
        tokenizer=tokenizer,
        chat_template=facts.string("tokenizer.chat_template", "") or None,
        permuted_qk=config.architecture in gguf_config.PERMUTED_ARCHITECTURES,
        metadata={key.removeprefix("general."): file.metadata[key] for key in _FACTS if key in file.metadata},
    )
