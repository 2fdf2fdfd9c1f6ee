"""Engines that start, and engines that cannot."""

from sidecar import __version__
from tests.clients.runner.client import APP_ID, FAKE_SIDECAR, Client
from tests.clients.scenarios.table import scenario


async def refusal(
    client: Client, behaviour: str, code: str = "start_failed", **terms: int
) -> dict[str, object]:
    """What becomes of a program that misbehaves like this."""
    error = await client.refused_spawn({"behaviour": behaviour}, FAKE_SIDECAR, **terms)
    assert error["code"] == code, error
    return error


@scenario
async def an_engine_says_who_it_is(client: Client) -> None:
    engine = await client.spawn()
    opened = engine.opened
    about = await engine.ask("engine.info")
    assert about["pid"] == opened["pid"] == engine.process.pid
    assert about["boot_id"] == opened["boot_id"]
    assert about["version"] == opened["version"] == __version__
    assert about["protocol"] == opened["protocol"] == 1
    assert about["app_id"] == APP_ID
    assert {"chat.create", "engine.shutdown", "models.load"} <= set(opened["methods"])
    assert "tools" in opened["capabilities"]
    await engine.close()


@scenario
async def a_wrong_option_is_explained(client: Client) -> None:
    error = await client.refused_spawn({"thread": 1})
    assert error["code"] == "invalid_params"
    assert "did you mean 'threads'" in error["message"]


@scenario
async def another_protocol_is_refused(client: Client) -> None:
    error = await refusal(client, "other_protocol", "unsupported_protocol")
    assert "99" in str(error["message"])
    assert "9.9.9" in str(error["message"])


@scenario
async def a_refusal_at_hello_is_passed_on(client: Client) -> None:
    error = await refusal(client, "bye", "unsupported_protocol")
    assert "no common protocol version" in str(error["message"])


@scenario
async def a_program_that_is_no_engine_is_refused(client: Client) -> None:
    error = await refusal(client, "garbage")
    assert "I am not JSON" in str(error["message"])


@scenario
async def a_program_that_says_nothing_is_given_up(client: Client) -> None:
    await refusal(client, "silent", handshake_timeout_ms=400)


@scenario
async def a_program_that_never_welcomes_is_given_up(client: Client) -> None:
    await refusal(client, "no_hello", handshake_timeout_ms=1500)


@scenario
async def a_program_that_ends_too_early_is_explained(client: Client) -> None:
    error = await refusal(client, "exit")
    assert "it went wrong" in str(error["message"])
    assert error["exit_status"] == 7
    assert error["stderr_tail"] == ['{"level":"info","message":"hello from stderr"}', "it went wrong"]


@scenario
async def a_program_that_is_not_there_is_named(client: Client) -> None:
    error = await client.refused_spawn(command=["/no/such/sidecar"])
    assert error["code"] == "start_failed"
    assert "/no/such/sidecar" in error["message"]
