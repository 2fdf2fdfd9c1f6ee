"""The part of `sidecar doctor` that starts an engine, loads a model and talks to it."""

import time
from collections.abc import Iterator

from sidecar.cli.attach import CLI_APP_ID
from sidecar.cli.checks import Check
from sidecar.cli.output import LoadingBar, bytes_text, executor_text
from sidecar.own_program import own_command
from sidecar_client import EngineError, SyncEngine
from sidecar_client.discovery import process_lives

QUESTION = "Say hello."
ANSWER_TOKENS = 16


def self_test(options: dict[str, object], model: str) -> Iterator[Check]:
    """Each step with its time; the first that fails is the last."""
    began = time.monotonic()
    try:
        engine = SyncEngine.spawn(own_command(), app_id=CLI_APP_ID, options=options, restart=None)
    except EngineError as error:
        yield Check("start", error.message, passed=False, remedy="see the engine's last words above")
        return
    with engine:
        pid = engine.pid
        yield Check("start", f"ready after {(time.monotonic() - began) * 1000:.0f} ms (process {pid})")
        try:
            yield _load(engine, model)
            yield _chat(engine, model)
        except EngineError as error:
            yield Check(
                "self-test", error.message, passed=False, remedy="sidecar chat --spawn --log-level debug"
            )
    if pid is not None and process_lives(pid):
        yield Check("end", f"process {pid} is still there", passed=False, remedy=f"kill {pid}")
    else:
        yield Check("end", "no process is left")


def _load(engine: SyncEngine, model: str) -> Check:
    began = time.monotonic()
    with LoadingBar() as loading, engine.models.load_stream(model) as stream:
        for event in stream:
            loading.show(event)
        status = stream.result()
    return Check(
        "load",
        f"{status.name} in {time.monotonic() - began:.1f} s: {executor_text(status)}, "
        f"{status.quantization}, context of {status.context_length} tokens",
    )


def _chat(engine: SyncEngine, model: str) -> Check:
    began = time.monotonic()
    first: float | None = None
    messages = [{"role": "user", "content": QUESTION}]
    with engine.chat.stream(
        messages=messages, model=model, max_tokens=ANSWER_TOKENS, temperature=0.0
    ) as stream:
        for _ in stream.text():
            first = first or time.monotonic() - began
        completion = stream.result()
    tokens = completion.usage.completion_tokens
    if first is None or tokens == 0:
        return Check("chat", "the model said nothing", passed=False, remedy="try another model with --model")
    speed = (tokens - 1) / (completion.timings.decode_ms / 1000) if completion.timings.decode_ms else 0.0
    memory = bytes_text(engine.stats().resident_bytes)
    return Check("chat", f"first token after {first * 1000:.0f} ms, {speed:.1f} tokens/s, {memory} of memory")
