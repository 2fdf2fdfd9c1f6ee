"""A private assistant in ten lines: starts the sidecar, streams an answer, leaves nothing behind."""

import asyncio

from sidecar_client import Engine


async def main() -> None:
    """Ask one question."""
    async with Engine.spawn(app_id="my-app") as engine:
        question = {"role": "user", "content": "Give me three tips for a good night's sleep."}
        async for text in engine.chat.stream(messages=[question], temperature=0, max_tokens=100).text():
            print(text, end="", flush=True)
    print()


asyncio.run(main())
