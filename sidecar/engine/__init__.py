"""The core engine: token ids in, token ids and text out, for many requests at once.

Refuses to know OpenAI, messages, tools, sockets, msgpack and torch: what runs
the model hides behind `executors.base`. Plain Python.

A token's way: `InferenceEngine.add_request` makes a `Sequence`; each `step()`
lets the `Scheduler` pick rows whose blocks the `BlockPool` provides, the
executor runs them, and postprocessing turns the tokens it chose into text.
`EngineThread` drives `step()` for `AsyncInferenceEngine`; `EnginePool` keeps
several models.
"""

from sidecar.engine.async_engine import AsyncInferenceEngine
from sidecar.engine.config import EngineConfig
from sidecar.engine.engine_pool import EnginePool
from sidecar.engine.inference_engine import InferenceEngine

__all__ = ["AsyncInferenceEngine", "EngineConfig", "EnginePool", "InferenceEngine"]
