"""The composition root: the only file that knows every room, and the two ways a sidecar runs."""

import asyncio
import contextlib
import importlib
import logging
import os
import platform
import secrets
import sys
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sidecar import __version__
from sidecar.config import Settings
from sidecar.debug_door import DebugDoor, open_debug_door
from sidecar.engine.config import EngineConfig
from sidecar.engine.engine_pool import EnginePool
from sidecar.errors import SidecarError, Unsupported
from sidecar.executors.registry import available_executors, executor_kind
from sidecar.lifecycle.guard import process_guard
from sidecar.lifecycle.logging import LogStream
from sidecar.lifecycle.parent_watch import ParentWatch
from sidecar.lifecycle.shutdown import Shutdown
from sidecar.lifecycle.spawn import read_spawn_line, take_stdout, write_ready_line, write_start_error
from sidecar.lifecycle.stdin_line import StdinWatch
from sidecar.openai.adapter import OpenAIAdapter
from sidecar.openai.local import LocalChatBackend
from sidecar.service.chat import chat_handlers
from sidecar.service.dispatcher import Dispatcher
from sidecar.service.engine import Traffic, engine_handlers
from sidecar.service.engines import engine_source
from sidecar.service.generate import generate_handlers
from sidecar.service.models import model_handlers
from sidecar.service.tokens import token_handlers
from sidecar.transport.frame_tap import FrameTap
from sidecar.transport.hub import Hub
from sidecar.transport.terms import Terms
from sidecar.transport.zeromq import ZeroMQServer
from sidecar_protocol.engine import EngineInfo
from sidecar_protocol.handshake import ConnectionFile, ReadyLine
from sidecar_protocol.limits import MAX_HANDSHAKE_LINE_BYTES
from sidecar_protocol.version import PROTOCOL_VERSION

EXIT_OK = 0
EXIT_CANNOT_START = 2
LAST_WORDS_SECONDS = 0.5
SWITCH_SECONDS = 0.0005
"""After so long in Python a thread lets another have the interpreter.

The asyncio thread gives it up at every message. While the engine thread or a
worker computes in Python it would wait 5 ms, Python's default, to go on each
time: a host that floods one connection would hold up every other.
"""

Door = ZeroMQServer | DebugDoor

logger = logging.getLogger(__name__)


class Sidecar:
    """Everything one running sidecar is made of, from the engine pool up to its hubs of connections.

    It implements ProcessControl for the handlers. Made on the event loop that it
    then lives on; doors bring the hubs their connections.
    """

    def __init__(self, settings: Settings, log: LogStream) -> None:
        self.settings = settings
        self.boot_id = secrets.token_hex(8)
        self.ending = Shutdown()
        self.children = process_guard()
        self._log = log
        self._frames = FrameTap()
        self._hubs: list[Hub] = []
        self.pool = EnginePool(_engine_config(settings))
        engines = engine_source(self.pool)
        adapter = OpenAIAdapter(LocalChatBackend(engines))
        self._dispatcher = Dispatcher(
            {
                **engine_handlers(self._info(), self.pool, self, self._traffic),
                **model_handlers(self.pool, settings.library),
                **token_handlers(engines, adapter),
                **generate_handlers(engines),
                **chat_handlers(adapter),
            },
            capabilities=["tools"],
        )

    def add_hub(self, *, debug: bool) -> Hub:
        """A hub for one more door: for the one host, or for debug connections."""
        terms = Terms(
            dispatcher=self._dispatcher,
            boot_id=self.boot_id,
            version=__version__,
            debug=debug,
            frame_tap=self._frames,
        )
        hub = Hub(
            terms,
            single_host=not debug,
            prefix="d" if debug else "c",
            welcomed=partial(_import_early, self.settings.executor),
        )
        self._hubs.append(hub)
        return hub

    def shutdown(self, grace_seconds: float) -> None:
        """Begin an orderly end; returns at once."""
        self.ending.request("a host asked for it", grace_seconds)

    def tap_logs(self, sink: Callable[[Mapping[str, object]], None]) -> Callable[[], None]:
        """Call `sink` with each log record; returns the function that stops it."""
        return self._log.tap(sink)

    def tap_frames(self, sink: Callable[[Mapping[str, object]], None]) -> Callable[[], None]:
        """Call `sink` with each message that crosses the transport; returns the function that stops it."""
        return self._frames.add(sink)

    def set_log_level(self, level: str) -> None:
        """One of debug, info, warning, error."""
        self._log.set_log_level(level)

    async def serve(self, doors: Sequence[Door], announce: Callable[[], None]) -> None:
        """Serve until somebody asks for the end, then end in order."""
        self.ending.listen_to_signals()
        for door in doors:
            door.start()
        announce()
        logger.info("sidecar %s is ready (boot %s)", __version__, self.boot_id)
        try:
            await self.ending.run(self._shut_down)
        finally:
            await self.pool.close()
            await asyncio.gather(*(door.close() for door in doors))
            await asyncio.to_thread(self.children.close)

    def ready_line(self, server: ZeroMQServer) -> ReadyLine:
        """What a spawned sidecar tells its host."""
        return ReadyLine(
            ready=1,
            endpoint=server.endpoint,
            server_key=server.server_key,
            protocol=PROTOCOL_VERSION,
            version=__version__,
            boot_id=self.boot_id,
            pid=os.getpid(),
        )

    async def _shut_down(self, grace_seconds: float) -> None:
        await asyncio.gather(*(hub.shut_down(grace_seconds) for hub in self._hubs))

    def _traffic(self) -> Traffic:
        connections = sum(hub.connections for hub in self._hubs)
        return Traffic(connections, sum(hub.active_requests for hub in self._hubs))

    def _info(self) -> EngineInfo:
        settings = self.settings
        return EngineInfo(
            version=__version__,
            protocol=PROTOCOL_VERSION,
            boot_id=self.boot_id,
            pid=os.getpid(),
            app_id=settings.app_id,
            platform=f"{sys.platform}-{platform.machine()}",
            python=platform.python_version(),
            executors=available_executors(),
            data_dir=str(settings.app_data_dir),
            cache_dir=str(settings.library.cache_dir),
        )


def run_spawned() -> int:
    """Live as a host's child: one line in, one line out, then ZeroMQ. Returns the exit status."""
    answers = take_stdout()
    stdin = StdinWatch(0, limit=MAX_HANDSHAKE_LINE_BYTES)
    try:
        request = read_spawn_line(stdin)
        _refuse_scripted_when_frozen(request.settings)
    except SidecarError as error:
        write_start_error(answers, error)
        return EXIT_CANNOT_START
    log = LogStream(2, request.settings.log_level)
    log.install()
    log.capture_prints()

    async def serve() -> int:
        sidecar = Sidecar(request.settings, log)
        doors: list[Door] = []
        try:
            server = ZeroMQServer(sidecar.add_hub(debug=False), client_key=request.client_key)
            doors.append(server)
            if request.settings.debug_socket:
                doors.append(await _open_debug_door(sidecar, request.settings))
        except SidecarError as error:
            for door in doors:
                await door.close()
            write_start_error(answers, error)
            return EXIT_CANNOT_START

        watch = ParentWatch(request.host_pid, stdin, sidecar.ending.request)
        watch.start()
        await sidecar.serve(doors, lambda: write_ready_line(answers, sidecar.ready_line(server)))
        watch.stop()
        return EXIT_OK

    return _run(serve(), log)


def run_socket(
    address: str | None, options: Mapping[str, object], announce: Callable[[ConnectionFile, Path], None]
) -> int:
    """Live on a terminal for debugging: several connections, until a signal or engine.shutdown.

    `address` is None for any free loopback port, tcp://127.0.0.1:PORT, or the
    absolute path of a Unix socket. `announce` is told how to attach. Raises what
    is wrong with the address or the options. Returns the exit status.
    """
    settings = Settings.from_options(options)
    _refuse_scripted_when_frozen(settings)
    log = LogStream(2, settings.log_level)
    log.install()

    async def serve() -> int:
        sidecar = Sidecar(settings, log)
        hub = sidecar.add_hub(debug=True)
        door = await open_debug_door(hub, address, boot_id=sidecar.boot_id, app_id=settings.app_id)
        await sidecar.serve([door], lambda: announce(door.connection, door.path))
        return EXIT_OK

    return _run(serve(), log)


async def _open_debug_door(sidecar: Sidecar, settings: Settings) -> DebugDoor:
    address = settings.debug_socket if isinstance(settings.debug_socket, str) else None
    hub = sidecar.add_hub(debug=True)
    door = await open_debug_door(hub, address, boot_id=sidecar.boot_id, app_id=settings.app_id)
    logger.info("debug connections are taken at %s; connection file: %s", door.connection.endpoint, door.path)
    return door


def _run(serve: Coroutine[Any, Any, int], log: LogStream) -> int:
    sys.setswitchinterval(SWITCH_SECONDS)
    # ZeroMQ's descriptors need a loop that watches descriptors; on Windows that is not the default one.
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        try:
            return runner.run(serve)
        finally:
            log.finish(LAST_WORDS_SECONDS)


def _engine_config(settings: Settings) -> EngineConfig:
    return EngineConfig(
        device=settings.device,
        kernel_path=settings.kernel_path,
        threads=settings.threads,
        executor=settings.executor or "auto",
        memory_budget_bytes=settings.memory_budget,
        library=settings.library,
    )


def _refuse_scripted_when_frozen(settings: Settings) -> None:
    if settings.executor == "scripted" and getattr(sys, "frozen", False):
        raise Unsupported("options.executor 'scripted' is for tests from the source tree")


def _import_early(wanted: str | None) -> None:
    """Import what loads and chats need while the host is busy with its welcome: the first finds it done."""

    def import_all() -> None:
        for module in ("tokenizers", "sidecar.text.template_sandbox"):
            # Without them, as without an executor, it is a load that says what is missing.
            with contextlib.suppress(ImportError):
                importlib.import_module(module)
        for name in [wanted] if wanted else available_executors()[:1]:
            # A load reports what is wrong to whoever asked for it.
            with contextlib.suppress(SidecarError):
                executor_kind(name)

    threading.Thread(target=import_all, name="import", daemon=True).start()
