"""What `make demo` runs: start a sidecar, load the default model, stream an answer, leave nothing behind."""

import asyncio
import sys
import time

import psutil
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from sidecar_client import Engine, EngineError

QUESTION = {"role": "user", "content": "What is photosynthesis? Answer briefly."}
console = Console(highlight=False)


async def load(engine: Engine) -> str:
    """Bring the default model into memory; the first time ever it is converted. Returns what came of it."""
    began = time.monotonic()
    columns = (TextColumn("  {task.description:<10}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_interactive) as bar:
        task = bar.add_task("resolve", total=1.0)
        stream = engine.models.load_stream("default")
        async for event in stream:
            bar.update(task, description=event.stage, completed=event.fraction)
    model, seconds = await stream.result(), time.monotonic() - began
    return f"{model.name} in {seconds:.1f} s · {model.executor} on {model.device} · {model.quantization}"


async def answer(engine: Engine) -> str:
    """Stream an answer. Returns how fast it came."""
    console.print(f"\n[bold cyan]>[/] {QUESTION['content']}")
    began, first = time.monotonic(), 0.0
    stream = engine.chat.stream(messages=[QUESTION], temperature=0, max_tokens=128)
    async for text in stream.text():
        first = first or time.monotonic() - began
        console.print(text, end="", style="bold", markup=False, soft_wrap=True)
    completion = await stream.result()
    tokens, decode_seconds = completion.usage.completion_tokens, completion.timings.decode_ms / 1000
    return f"first token after {first * 1000:.0f} ms · {(tokens - 1) / decode_seconds:.1f} tokens/s"


async def main() -> int:
    """Returns the exit code."""
    began = time.monotonic()
    async with Engine.spawn(app_id="demo", restart=None) as engine:
        seconds = time.monotonic() - began
        console.print(f"[green]●[/] started   process {engine.pid} in {seconds * 1000:.0f} ms")
        console.print(f"[green]●[/] loaded    {await load(engine)}")
        console.print(f"\n\n[green]●[/] answered  {await answer(engine)}")
        console.print(f"[green]●[/] memory    {(await engine.stats()).resident_bytes / 2**20:.0f} MiB")
    left = psutil.Process().children(recursive=True)
    console.print(f"[red]●[/] left behind: {left}" if left else "[green]●[/] ended     no process is left")
    return 1 if left else 0


try:
    sys.exit(asyncio.run(main()))
except EngineError as error:
    sys.exit(f"{error.code}: {error.message}")
