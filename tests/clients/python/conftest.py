from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from sidecar_client.connection import Connection
from sidecar_client.engine import DEFAULT_LIVENESS, Engine
from sidecar_client.host_requests import Handler
from sidecar_client.life import Life, OnLost
from sidecar_client.liveness import Liveness
from sidecar_client.notices import Notice
from tests.support.fake_engine import FakeEngine

Attach = Callable[..., Awaitable[Engine]]


@pytest.fixture
async def fake() -> AsyncIterator[FakeEngine]:
    async with FakeEngine() as engine:
        yield engine


@pytest.fixture
async def attach() -> AsyncIterator[Attach]:
    """Makes client engines connected to fake ones, and closes them."""
    engines: list[Engine] = []

    async def attach_to(
        fake: FakeEngine,
        *,
        liveness: Liveness = DEFAULT_LIVENESS,
        handlers: dict[str, Handler] | None = None,
        on_notice: Callable[[Notice], None] | None = None,
        on_notification: Callable[[str, object], None] | None = None,
        handshake_timeout: float = 5.0,
    ) -> Engine:
        async def open_life(connection: Connection, on_lost: OnLost) -> Life:
            await connection.open(fake.door, handshake_timeout)
            return Life(connection, None, on_lost)

        engine = Engine(
            open_life,
            restart=None,
            handlers=handlers,
            on_notice=on_notice,
            on_notification=on_notification,
            liveness=liveness,
        )
        engines.append(engine)
        return await engine.open()

    yield attach_to
    for engine in engines:
        await engine.close()


@pytest.fixture
async def engine(fake: FakeEngine, attach: Attach) -> Engine:
    return await attach(fake)
