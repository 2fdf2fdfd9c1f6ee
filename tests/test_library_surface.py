"""The names that programs import stay where they are, and importing them stays cheap."""

import json
import subprocess
import sys

import sidecar.engine
from sidecar.openai.adapter import OpenAIAdapter
from sidecar.openai.local import LocalChatBackend

HEAVY = {
    "torch",
    "numpy",
    "transformers",
    "pydantic",
    "rich",
    "jinja2",
    "tokenizers",
    "mcp",
    "llguidance",
    "zmq.asyncio",
}


def test_exported_names() -> None:
    assert sidecar.engine.__all__ == ["AsyncInferenceEngine", "EngineConfig", "EnginePool", "InferenceEngine"]
    assert callable(OpenAIAdapter)
    assert callable(LocalChatBackend)


def test_what_runs_before_the_ready_line_imports_nothing_heavy() -> None:
    program = "import json, sys; import sidecar.app; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)
    loaded = set(json.loads(done.stdout))
    assert "sidecar.transport.zeromq" in loaded
    assert loaded & HEAVY == set()
