"""An engine on a socket: who is let in, and programs that share it."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import zmq

from tests.clients.runner.client import SIDECAR, Client
from tests.clients.runner.process import DEADLINE_SECONDS
from tests.clients.runner.toolchains import ROOT
from tests.clients.scenarios.requests import COMPLETE, completed, endless, text
from tests.clients.scenarios.table import scenario

FILE_LINE = b"connection file: "


@asynccontextmanager
async def open_door() -> AsyncIterator[Path]:
    """The connection file of `sidecar --socket`."""
    process = await asyncio.create_subprocess_exec(
        *SIDECAR,
        "--socket",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=ROOT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not (line := await process.stdout.readline()).startswith(FILE_LINE):
                assert line, "it ended before it served"
        yield Path(line.removeprefix(FILE_LINE).decode().strip())
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@scenario
async def a_wrong_key_opens_nothing(client: Client) -> None:
    stranger = [key.decode() for key in zmq.curve_keypair()]
    other_server = zmq.curve_keypair()[0].decode()
    async with open_door() as file:
        right = json.loads(file.read_text())
        with TemporaryDirectory() as folder:
            changed = Path(folder) / "changed.json"
            changed.touch(mode=0o600)
            for change in (
                {"server_key": other_server},
                dict(zip(("client_key", "client_secret"), stranger, strict=True)),
            ):
                changed.write_text(json.dumps({**right, **change}))
                error = await client.refused_connection(changed, handshake_timeout_ms=1_500)
                assert error["code"] == "start_failed"
                assert right["client_secret"] not in error["message"]
        engine = await client.connect(file)
        assert engine.opened["pid"] is None
        assert (await engine.ask("engine.info"))["boot_id"] == right["boot_id"] == engine.opened["boot_id"]
        await engine.close()


@scenario
async def two_programs_share_an_engine_and_one_stands_still(client: Client) -> None:
    async with open_door() as file, client.another() as other:
        mine, theirs = await client.connect(file), await other.connect(file)
        stalled = theirs.stream(COMPLETE, endless(), credit=4, read=3)
        await stalled.event(2)
        stream = mine.stream(COMPLETE, text(60))
        assert completed(await stream.result()) == stream.text
        await stalled.leave()
        paused = theirs.stream(COMPLETE, text(120))
        await paused.event(2)
        other.driver.process.suspend()
        stream = mine.stream(COMPLETE, text(120))
        assert completed(await stream.result()) == stream.text
        await mine.settled()
        other.driver.process.resume()
        assert completed(await paused.result()) == paused.text == stream.text
        await theirs.close()
        async with asyncio.timeout(DEADLINE_SECONDS):
            while (await mine.settled())["connections"] > 1:
                pass
        await mine.close()
