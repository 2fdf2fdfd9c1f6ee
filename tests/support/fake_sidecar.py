"""A program that starts like the sidecar and then misbehaves as the spawn line's options say.

options.behaviour: refuse, garbage, silent, exit, flood_stderr, other_protocol, no_hello, bye, deaf
(ignores stdin's end and SIGTERM), or nothing: it serves. Served methods: engine.info tells
its environment and arguments, chat.create streams one event and waits, test.crash dies,
test.spawn_child leaves a child running, engine.shutdown ends it.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys

from sidecar_protocol.envelope import Header, Kind
from tests.support.fake_engine import FakeEngine


def main() -> None:
    spawn = json.loads(sys.stdin.readline())
    behaviour = spawn["options"].get("behaviour")
    print('{"level":"info","message":"hello from stderr"}', file=sys.stderr, flush=True)
    match behaviour:
        case "refuse":
            print(
                json.dumps({"error": {"code": "invalid_params", "message": "options has a fault"}}),
                flush=True,
            )
            sys.exit(2)
        case "garbage":
            print("Hello, I am not JSON", flush=True)
            sys.stdin.read()
        case "silent":
            sys.stdin.read()
        case "exit":
            print("it went wrong", file=sys.stderr, flush=True)
            sys.exit(7)
        case _:
            asyncio.run(serve(spawn, behaviour))


async def serve(spawn: dict[str, object], behaviour: str | None) -> None:
    if behaviour == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if behaviour == "flood_stderr":
        for number in range(20_000):
            print(f"line {number}", file=sys.stderr)
        sys.stderr.flush()
    engine = FakeEngine(answers_hello=behaviour not in {"no_hello", "bye"})
    ready = {
        "ready": 1,
        "endpoint": engine.door.endpoint,
        "server_key": engine.door.server_key,
        "protocol": 99 if behaviour == "other_protocol" else 1,
        "version": "9.9.9",
        "boot_id": "boot",
        "pid": os.getpid(),
    }
    print(json.dumps(ready), flush=True)
    stdin_ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    serving = asyncio.ensure_future(answer(engine, behaviour))
    if behaviour == "deaf":
        await serving
    await asyncio.wait({stdin_ended, serving}, return_when=asyncio.FIRST_COMPLETED)
    os._exit(0)


async def answer(engine: FakeEngine, behaviour: str | None) -> None:
    if behaviour == "bye":
        await engine.next(Kind.HELLO)
        error = {"code": "unsupported_protocol", "message": "no common protocol version"}
        await engine.send(Kind.BYE, error)
    while True:
        header, _ = await engine.next(Kind.REQUEST, Kind.CANCEL, deadline=600)
        match header.m:
            case None:
                error = {"code": "cancelled", "message": "cancelled"}
                await engine.send(Kind.ERROR, error, id=header.id)
            case "engine.info":
                about = {"environment": dict(os.environ), "arguments": sys.argv, "pid": os.getpid()}
                await engine.send(Kind.RESULT, about, id=header.id, s=0)
            case "chat.create":
                await engine.send_events(header.id or 0, {"type": "queued", "position": 1})
            case "test.crash":
                os.kill(os.getpid(), signal.SIGKILL)
            case "test.spawn_child":
                await engine.send(Kind.RESULT, {"pid": spawn_child()}, id=header.id, s=0)
            case "engine.shutdown" if behaviour != "deaf":
                await end(engine, header)
                return


def spawn_child() -> int:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid


async def end(engine: FakeEngine, header: Header) -> None:
    await engine.send(Kind.RESULT, {}, id=header.id, s=0)
    await engine.send(Kind.BYE, {"code": "shutting_down", "message": "the engine was shut down"})
    await engine.close()


if __name__ == "__main__":
    main()
