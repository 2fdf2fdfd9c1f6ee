"""The memory estimate counts every weight there is."""

from pathlib import Path

import pytest

from sidecar.executors.torch.estimate import memory_estimate
from sidecar.models.open import open_model
from tests.support.transformers_gguf import write_gguf
from tests.support.transformers_models import random_model


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("architecture", ["llama", "mistral", "qwen2", "qwen3"])
def test_float32_weights_take_four_bytes_each(tmp_path: Path, architecture: str, tied: bool) -> None:
    model = random_model(architecture, tie_word_embeddings=tied)
    config = open_model(write_gguf(model, tmp_path / "model.gguf")).config
    assert memory_estimate(config, "float32").weights_bytes == 4 * model.num_parameters()
