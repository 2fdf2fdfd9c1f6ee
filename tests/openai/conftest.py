"""The scripted model behind the OpenAI adapter, without a process or a wire."""

from collections.abc import AsyncIterator

import pytest

from sidecar.engine.async_engine import AsyncInferenceEngine
from sidecar.openai.adapter import OpenAIAdapter
from sidecar.openai.local import LoadingSink, LocalChatBackend
from tests.support.scripted import scripted_config


@pytest.fixture
async def adapter() -> AsyncIterator[OpenAIAdapter]:
    async with AsyncInferenceEngine(scripted_config(blocks=256)) as engine:

        async def source(model: str, told: LoadingSink) -> AsyncInferenceEngine:
            return engine

        yield OpenAIAdapter(LocalChatBackend(source))
