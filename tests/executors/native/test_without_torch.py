"""A bundle without torch and numpy: the native executor loads and chats with both blocked from import."""

import subprocess
import sys

import pytest

CHAT = """
import asyncio, sys
from importlib.abc import MetaPathFinder

class Hidden(MetaPathFinder):
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        blocked = name.split(".")[0] in ("torch", "numpy")
        return None if blocked else self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(Hidden, sys.meta_path)

from sidecar.engine.async_engine import AsyncInferenceEngine
from sidecar.engine.config import EngineConfig
from sidecar.openai.adapter import OpenAIAdapter
from sidecar.openai.local import LocalChatBackend
from sidecar_protocol.chat import ChatCreate
from sidecar_protocol.chat_messages import UserMessage

async def main():
    async with AsyncInferenceEngine(EngineConfig(context_length=512)) as engine:
        async def source(model, tell):
            return engine

        adapter = OpenAIAdapter(LocalChatBackend(source))
        question = UserMessage(content="Name a color.")
        answer = await adapter.chat_completion(ChatCreate(messages=[question], max_tokens=12, temperature=0))
        print(engine.model_info.executor, answer.choices[0].message.content)

asyncio.run(main())
assert not {"torch", "numpy"} & set(sys.modules), "imported all the same"
"""


@pytest.mark.model
def test_it_loads_and_chats() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHAT], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    executor, _, answer = done.stdout.partition(" ")
    assert executor == "native"
    assert len(answer.split()) > 2
