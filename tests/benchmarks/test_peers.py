"""The comparison's driver with contestants that compute nothing, in real processes."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.machine import this_machine
from benchmarks.peers.cases import Case, cache_tokens, decode, prefill, random_prompt
from benchmarks.peers.child import ContestantFailed, ContestantProcess
from benchmarks.peers.contestants import OUR_NAME, Contestant, Goals
from benchmarks.peers.environment import OURS, Environment
from benchmarks.peers.model_files import ModelFile
from benchmarks.peers.report import EXACT_NAME, report
from benchmarks.peers.results import PeerResults
from benchmarks.peers.rounds import Entry, run_rounds
from benchmarks.peers.wire import serve_lines
from tests.support.fake_contestant import FakeContestant

FAKE = "tests.support.fake_contestant"
EASY, TOO_MANY, DEADLY = decode(1, 64, 8), decode(8, 64, 8), decode(32, 64, 8)


@pytest.fixture(autouse=True)
def quick_and_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logs go to a folder of the test's own; nobody waits to see how busy the machine is."""
    monkeypatch.setattr("benchmarks.peers.rounds.other_load_percent", lambda: 3.0)
    monkeypatch.setattr("benchmarks.peers.child.RESULTS_DIR", tmp_path)


@pytest.fixture
def model(tmp_path: Path) -> ModelFile:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    return ModelFile(path, "Q4_1")


def run(model: ModelFile, cases: Sequence[Case], *, rounds: int, reload: bool = False) -> PeerResults:
    results = PeerResults("fake", this_machine(), 2, rounds, False, [], [], [])
    names = (OUR_NAME, "other")
    entries = [Entry(Contestant(name, FAKE, options={"speed": "fast"}), model) for name in names]
    run_rounds(results, entries, cases, [5, 7], reload=reload, report=lambda _: None)
    return results


@pytest.mark.parametrize("reload", [False, True])
def test_every_contestant_is_measured_once_a_round(model: ModelFile, reload: bool) -> None:
    results = run(model, [EASY, prefill(32, 2)], rounds=2, reload=reload)
    for case in results.cases:
        assert case.tokens_per_second == {OUR_NAME: [100.0, 200.0], "other": [100.0, 200.0]}
        assert case.settings["other"] == "as ever"
    other = results.contestant("other")
    assert other.engine == "fake fast, 2 threads, 0 cases"
    assert other.greedy_tokens == [7] * 32
    assert len(other.load_seconds) == len(other.peak_bytes) == 2
    assert not other.failures


def test_a_case_that_fails_is_named_and_the_others_go_on(model: ModelFile) -> None:
    results = run(model, [TOO_MANY, EASY], rounds=2)
    too_many, easy = results.cases
    assert too_many.tokens_per_second == {}
    assert easy.tokens_per_second["other"] == [100.0, 200.0]
    [failure] = results.contestant("other").failures
    assert "8 streams are too many" in failure
    assert TOO_MANY.name in failure


def test_a_contestant_that_dies_is_named_and_its_log_kept(model: ModelFile, tmp_path: Path) -> None:
    results = run(model, [EASY, DEADLY], rounds=1)
    assert results.cases[0].tokens_per_second["other"] == [100.0]
    [failure] = results.contestant("other").failures
    assert "the process ended; see" in failure
    assert "32 streams are the end" in (tmp_path / "other.log").read_text()


def test_what_a_library_prints_is_no_answer(model: ModelFile, tmp_path: Path) -> None:
    process = ContestantProcess(OURS.ensure(), FAKE, "talker")
    try:
        engine, seconds = process.load(model.path, {"speed": "slow", "threads": 1}, [EASY])
        assert engine == "fake slow, 1 threads, 1 cases"
        assert 0 <= seconds < 60
        with pytest.raises(ContestantFailed, match=r"talker: there is no .*missing\.gguf"):
            process.load(model.path.with_name("missing.gguf"), {}, [])
        assert process.greedy([3], 2) == [3, 3]
    finally:
        process.close()
    assert "a library that talks on stdout" in (tmp_path / "talker.log").read_text()


def test_a_line_that_is_no_request_is_answered_with_an_error() -> None:
    answers = io.StringIO()
    serve_lines(FakeContestant(), io.StringIO('{"do": "dance"}\n{"do": "memory"}\n'), answers)
    refusal, memory = map(json.loads, answers.getvalue().splitlines())
    assert "not a request" in refusal["error"]
    assert memory["peak_bytes"] > 2**20


def test_cases_survive_the_wire() -> None:
    case = decode(8, 1024, 48)
    assert Case.from_json(json.loads(json.dumps(case.to_json()))) == case
    assert case.name == "decode, 8 streams, context 1,024"
    with pytest.raises(ValueError, match="not a case"):
        Case.from_json({"kind": "decode"})


def test_prompts_are_the_same_for_the_same_name_and_within_the_vocabulary() -> None:
    prompt = random_prompt(200, 512, name="stream 0")
    assert prompt == random_prompt(200, 512, name="stream 0")
    assert prompt != random_prompt(200, 512, name="stream 1")
    assert all(256 <= token < 512 for token in prompt)


def test_cache_holds_every_prompt_at_once() -> None:
    cases = [decode(8, 64, 16), prefill(4000, 1)]
    assert cache_tokens(cases) > 8 * (64 + 16) + 4000
    assert cache_tokens([]) == 0


def test_report_says_ratio_goal_and_agreement(model: ModelFile) -> None:
    results = run(model, [EASY], rounds=1)
    results.cases[0].tokens_per_second[OUR_NAME] = [250.0]
    results.contestant("other").greedy_tokens = [7, 7, 1, *[7] * 29]
    results.other_load_percent = [50.0]
    assert "first tokens equal" not in report(results, {})
    results.contestant(OUR_NAME).name = EXACT_NAME
    contestants = {"other": Contestant("other", FAKE, goals=Goals(2.0, 3.0, 4.0))}
    text = report(results, contestants)
    assert "2.50× (2.50–2.50), goal 2×" in text
    assert "2 of 32" in text
    assert "do not trust these numbers" in text
    assert results.machine.processor in text


@pytest.mark.parametrize(
    ("case", "goal"),
    [
        (EASY, 1.0),
        (TOO_MANY, 2.0),
        (prefill(32, 1), 3.0),
        (decode(1, 4096, 8), 4.0),
        (decode(1, 1024, 8), 1.0),
    ],
)
def test_each_case_has_its_goal(case: Case, goal: float) -> None:
    assert Goals(1.0, 2.0, 3.0, 4.0).of(case) == goal


def test_an_environment_that_is_there_is_left_alone(tmp_path: Path) -> None:
    environment = Environment(tmp_path, ("some-package==1.0",))
    (tmp_path / ".installed").write_text("some-package==1.0")
    assert environment.ensure() == environment.python
    assert [entry.name for entry in tmp_path.iterdir()] == [".installed"]
