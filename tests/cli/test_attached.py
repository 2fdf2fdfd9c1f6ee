"""Commands against an engine that runs with --socket."""

import json
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, DEADLINE_SECONDS, Run

pytestmark = pytest.mark.usefixtures("served")


def messages(text: str) -> str:
    return json.dumps({"messages": [{"role": "user", "content": text}]})


def test_chat_streams_an_answer(run: Run) -> None:
    done = run("chat", "count 5")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 2 3 4 5\n", "")


def test_chat_takes_its_message_from_stdin(run: Run) -> None:
    assert run("chat", "-", stdin="count 3\n").stdout == "1 2 3\n"
    assert run("chat", stdin="count 2\n").stdout == "1 2\n"


def test_chat_with_figures_and_sampling(run: Run) -> None:
    done = run("chat", "count 30", "--max-tokens", "4", "--temperature", "0", "--seed", "1", "--stats")
    assert done.stdout == "1 2 \n"
    assert "4 out" in done.stderr
    assert "length" in done.stderr


def test_chat_as_json(run: Run) -> None:
    done = run("chat", "count 2", "--json")
    completion = json.loads(done.stdout)
    assert completion["choices"][0]["message"]["content"] == "1 2"


def test_chat_that_fails(run: Run) -> None:
    done = run("chat", "fail")
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_call_prints_the_result(run: Run) -> None:
    done = run("call", "engine.info")
    assert done.returncode == 0
    assert json.loads(done.stdout)["app_id"] == "debug"


def test_call_takes_its_params_from_stdin(run: Run) -> None:
    done = run("call", "chat.create", "-", stdin=messages("count 2"))
    assert json.loads(done.stdout)["choices"][0]["message"]["content"] == "1 2"


def test_call_streams_events_then_the_result(run: Run) -> None:
    done = run("call", "chat.create", messages("count 2"), "--stream")
    *events, result = [json.loads(line) for line in done.stdout.splitlines()]
    assert {event["type"] for event in events} >= {"chunk"}
    assert result["choices"][0]["message"]["content"] == "1 2"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["engine.nonsense"], 2, "engine.nonsense"),
        (["chat.create", '{"mesages": []}'], 2, "did you mean 'messages'"),
        (["chat.create", messages("fail")], 1, "failed"),
        (["chat.create", messages("talk"), "--deadline", "0.2"], 5, "within"),
    ],
)
def test_calls_end_with_the_code_of_their_error(
    run: Run, arguments: list[str], code: int, message: str
) -> None:
    done = run("call", *arguments)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1


def test_models_as_a_table_and_as_json(run: Run) -> None:
    table = run("models").stdout.splitlines()
    assert table[0].split() == ["name", "size", "format", "origin", "loaded", "path"]
    found = json.loads(run("models", "--json").stdout)["models"]
    assert len(found) == len(table) - 1


def test_models_load_and_unload(run: Run) -> None:
    loaded = run("models", "load", "default")
    assert loaded.returncode == 0, loaded.stderr
    assert "scripted on cpu" in loaded.stdout
    assert json.loads(run("models", "load", "default", "--json").stdout)["state"] == "ready"
    assert run("models", "unload", "default").returncode == 0
    assert json.loads(run("call", "models.status").stdout) == {"models": []}


def test_stats(run: Run) -> None:
    run("models", "load", "default")
    shown = run("stats")
    assert "resident" in shown.stdout
    assert "scripted" in shown.stdout
    stats = json.loads(run("stats", "--json").stdout)
    assert stats["resident_bytes"] > 0


def test_stats_again_and_again_until_ctrl_c(environment: Mapping[str, str]) -> None:
    with watching(environment, "stats", "--watch") as process:
        assert process.stdout is not None
        lines = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert lines[1]["uptime_ms"] > lines[0]["uptime_ms"]
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_SECONDS) == 0


def test_watch_shows_what_is_said(run: Run, environment: Mapping[str, str]) -> None:
    with watching(environment, "watch") as process:
        run("chat", "count 2")
        shown = lines_until(process, " bye ")
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_SECONDS) == 0
    kinds = [line.split()[3] for line in shown]
    assert kinds[:3] == ["hello", "welcome", "req"]
    assert "evts" in kinds
    assert kinds[-2:] == ["res", "bye"]
    assert any('chunk "1"' in line for line in shown)
    assert all(" chat.create " in line for line in shown if line.split()[3] in ("req", "evts", "res"))
    assert len({line.index(line.split()[3]) for line in shown}) == 1


def test_watch_of_one_method_as_json(run: Run, environment: Mapping[str, str]) -> None:
    with watching(environment, "watch", "--json", "--method", "engine.info") as process:
        run("chat", "count 2")
        run("call", "engine.info")
        assert process.stdout is not None
        frames = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=DEADLINE_SECONDS)[0]
    assert [frame["header"]["k"] for frame in frames] == ["req", "res"]
    assert rest == ""


def test_a_pipe_that_is_closed_early(environment: Mapping[str, str]) -> None:
    process = subprocess.Popen(
        [*COMMAND, "chat", "talk"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(1) == "l"
    process.stdout.close()
    assert process.wait(DEADLINE_SECONDS) == 141
    assert process.stderr.read() == ""
    process.stderr.close()


def test_a_named_connection_file(run: Run, environment: Mapping[str, str]) -> None:
    (path,) = Path(environment["XDG_RUNTIME_DIR"]).glob("*/*.json")
    done = run("call", "engine.info", "--connection", path)
    assert json.loads(done.stdout)["boot_id"] == path.stem


def watching(environment: Mapping[str, str], *arguments: str) -> "subprocess.Popen[str]":
    """Starts a command and returns once it watches."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    )
    if "watch" in arguments:
        assert process.stderr is not None
        assert "watching" in process.stderr.readline()
    return process


def lines_until(process: "subprocess.Popen[str]", text: str) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if text in line:
            break
    return lines
