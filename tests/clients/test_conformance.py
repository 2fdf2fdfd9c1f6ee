"""Every scenario with every client, on the real engine and the default model."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.clients.runner.home import Home
from tests.clients.runner.toolchains import PROGRAMS, DriverProgram
from tests.clients.scenarios import TABLE, Scenario

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.model]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=PROGRAMS, ids=lambda it: it.language)
async def home(request: pytest.FixtureRequest) -> AsyncIterator[Home]:
    program: DriverProgram = request.param
    if reason := program.why_not():
        pytest.skip(f"no conformance of the {program.language} client: {reason}")
    made = Home(program)
    yield made
    await made.end()


@pytest.mark.parametrize("scenario", TABLE, ids=lambda row: row.name)
async def test_scenario(home: Home, scenario: Scenario) -> None:
    await home.run(scenario)
