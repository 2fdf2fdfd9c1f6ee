"""A real sidecar process with the scripted executor, and a client on it."""

from collections.abc import AsyncIterator

import pytest

from sidecar_client import Engine


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    async with Engine.spawn(app_id="service-test", options={"executor": "scripted"}) as engine:
        yield engine
