"""A Hugging Face model folder: config.json, safetensors, tokenizer.json, chat template."""

from pathlib import Path

from sidecar.errors import InvalidModelFile, Unsupported
from sidecar.models.fields import Fields
from sidecar.models.hf_config import model_config
from sidecar.models.json_file import read_bounded, read_object
from sidecar.models.names import HEAD, check_tensors, is_ignored
from sidecar.models.safetensors import INDEX_FILE, SINGLE_FILE, read_model_weights
from sidecar.models.source import ModelSource, StoredTensor, TokenizerSource

MAX_TEMPLATE_BYTES = 2**20


def is_model_folder(folder: Path) -> bool:
    """Whether a folder has a config and weights."""
    has_weights = (folder / SINGLE_FILE).is_file() or (folder / INDEX_FILE).is_file()
    return has_weights and (folder / "config.json").is_file()


def open_folder(folder: Path) -> ModelSource:
    """Open a model folder. Raises as `open_model` does."""
    if not is_model_folder(folder):
        raise Unsupported(
            f"{folder}: a model folder has config.json and {SINGLE_FILE} or {INDEX_FILE}; this one has not"
        )
    path = folder / "config.json"
    fields = Fields(path, read_object(path))
    generation = Fields(folder / "generation_config.json", read_object(folder / "generation_config.json"))
    tokenizer_fields = Fields(folder / "tokenizer_config.json", read_object(folder / "tokenizer_config.json"))
    config = model_config(fields, generation)
    weights = read_model_weights(folder)
    if config.tie_word_embeddings:
        weights.pop(HEAD, None)
    tensors: dict[str, StoredTensor] = {
        name: tensor.stored_tensor() for name, tensor in weights.items() if not is_ignored(name)
    }
    check_tensors(folder, config, tensors)
    tokenizer_json = folder / "tokenizer.json"
    return ModelSource(
        path=folder,
        file_format="safetensors",
        config=config,
        tensors=tensors,
        tokenizer=TokenizerSource(
            json_path=tokenizer_json if tokenizer_json.is_file() else None,
            add_bos=tokenizer_fields.boolean("add_bos_token", False),
            bos_token_id=config.bos_token_id,
            eos_token_ids=config.eos_token_ids,
        ),
        chat_template=chat_template_of(folder),
        metadata={"name": folder.name},
    )


def chat_template_of(folder: Path) -> str | None:
    """A folder's template: chat_template.jinja, or tokenizer_config.json's own.

    The latter may be one text, or several of which "default" is taken.
    """
    path = folder / "chat_template.jinja"
    content = read_bounded(path, MAX_TEMPLATE_BYTES)
    if content is not None:
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise InvalidModelFile(path, "is not UTF-8") from None
    fields = Fields(folder / "tokenizer_config.json", read_object(folder / "tokenizer_config.json"))
    value = fields.values.get("chat_template")
    if isinstance(value, list):
        named = [Fields(fields.path, item) for item in value if isinstance(item, dict)]
        texts = {item.string("name"): item.string("template") for item in named}
        return texts.get("default") or next(iter(texts.values()), None)
    return fields.string("chat_template", "") or None
