"""The comparison's driver with contestants that compute nothing, in real processes."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.folders import PROJECT_DIR
from benchmarks.machine import this_machine
from benchmarks.peers import __main__ as command
from benchmarks.peers.cases import (
    Case,
    arrival,
    decode,
    prefill,
)
from benchmarks.peers.child import ContestantFailed, ContestantProcess
from benchmarks.peers.contestants import OUR_NAME, Contestant, Goals
from benchmarks.peers.environment import (
    OURS,
    NodeEnvironment,
)
from benchmarks.peers.model_files import ModelFile
from benchmarks.peers.report import EXACT_NAME, report
from benchmarks.peers.results import PeerResults, load_results
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
    monkeypatch.setattr("benchmarks.peers.results.RESULTS_DIR", tmp_path)


@pytest.fixture
def model(tmp_path: Path) -> ModelFile:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    return ModelFile(path, "Q4_1")


def empty_results(*, rounds: int = 1, quick: bool = False) -> PeerResults:
    return PeerResults("fake", this_machine(), 2, rounds, quick, [], [], [])


def run(
    model: ModelFile,
    cases: Sequence[Case],
    *,
    rounds: int,
    reload: bool = False,
    windows: Sequence[Sequence[int]] = (),
) -> PeerResults:
    results = empty_results(rounds=rounds)
    options = {"speed": "fast"}
    entries = [
        Entry(Contestant(OUR_NAME, FAKE, options=options), model),
        Entry(Contestant("other", FAKE, options=options), model),
        Entry(Contestant("exact", FAKE, options=options, reference=True), model),
    ]
    run_rounds(results, entries, cases, [5, 7], windows, reload=reload, report=lambda _: None)
    return results


@pytest.mark.parametrize("reload", [False, True])
def test_every_contestant_is_measured_once_a_round(model: ModelFile, reload: bool) -> None:
    results = run(model, [EASY, prefill(32, 2)], rounds=2, reload=reload)
    for case in results.cases:
        assert case.tokens_per_second == {OUR_NAME: [100.0, 100.0], "other": [100.0, 100.0]}
        assert case.settings["other"] == "as ever"
    other = results.contestant("other")
    assert other.engine == "fake fast, 2 threads, 0 cases"
    assert other.greedy_tokens == [7] * 32
    assert len(other.load_seconds) == len(other.peak_bytes) == 2
    assert all(
        first > load for first, load in zip(other.first_token_seconds, other.load_seconds, strict=True)
    )
    assert not other.failures
    assert results.contestant("exact").greedy_tokens == [7] * 32


def test_an_arrival_has_waiting_times_instead_of_a_speed(model: ModelFile) -> None:
    [result] = run(model, [arrival(8, 512)], rounds=2).cases
    assert result.first_token_seconds == {OUR_NAME: [5.12, 5.12], "other": [5.12, 5.12]}
    assert result.longest_gap_seconds["other"] == [0.5, 0.5]
    assert not result.tokens_per_second


def test_perplexity_is_taken_of_the_same_windows(model: ModelFile) -> None:
    results = run(model, [], rounds=1, windows=[[5] * 9, [6] * 5])
    assert results.perplexity_tokens == 12
    assert [outcome.perplexity for outcome in results.contestants] == pytest.approx([20.0] * 3)


def test_who_cannot_score_a_text_is_measured_all_the_same(model: ModelFile) -> None:
    results = run(model, [EASY], rounds=1, windows=[[0, 1]])
    other = results.contestant("other")
    assert other.perplexity is None
    assert "token 0 has no probability" in other.failures[0]
    assert results.cases[0].tokens_per_second["other"] == [100.0]


def test_a_case_that_fails_is_named_and_the_others_go_on(model: ModelFile) -> None:
    results = run(model, [TOO_MANY, EASY], rounds=2)
    too_many, easy = results.cases
    assert too_many.tokens_per_second == {}
    assert easy.tokens_per_second["other"] == [100.0, 100.0]
    [failure] = results.contestant("other").failures
    assert "8 streams are too many" in failure
    assert TOO_MANY.name in failure


def test_a_contestant_that_dies_is_named_and_its_log_kept(model: ModelFile, tmp_path: Path) -> None:
    results = run(model, [EASY, DEADLY], rounds=1)
    assert results.cases[0].tokens_per_second["other"] == [100.0]
    [failure] = results.contestant("other").failures
    assert "the process ended: 32 streams are the end; see" in failure
    assert "32 streams are the end" in (tmp_path / "other.log").read_text()


def test_what_a_library_prints_is_no_answer(model: ModelFile, tmp_path: Path) -> None:
    process = ContestantProcess(OURS.command(FAKE), "talker")
    try:
        engine = process.load(model.path, {"speed": "slow", "threads": 1}, [EASY])
        assert engine == "fake slow, 1 threads, 1 cases"
        with pytest.raises(ContestantFailed, match=r"there is no .*missing\.gguf"):
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


def test_report_says_ratio_goal_and_agreement(model: ModelFile) -> None:
    results = run(model, [EASY, arrival(8, 512)], rounds=1, windows=[[5] * 9])
    results.cases[0].tokens_per_second[OUR_NAME] = [250.0]
    results.contestant("other").greedy_tokens = [7, 7, 1, *[7] * 29]
    results.other_load_percent = [50.0]
    results.left_out = ["prefill 4,000 tokens"]
    results.contestant("other").failures = [f"there is no {PROJECT_DIR}/.cache/model.gguf"]
    assert "first tokens equal" not in report(results, {})
    results.contestant("exact").name = EXACT_NAME
    contestants = {"other": Contestant("other", FAKE, goals=Goals(2.0, 3.0, 4.0))}
    text = " ".join(report(results, contestants).split())
    assert "2.50× (2.50–2.50), goal 2×" in text
    assert "2 of 32" in text
    assert "do not trust these numbers" in text
    assert results.machine.processor in text
    assert "| 5.12 s |" in text
    assert "perplexity of 8 tokens" in text
    assert "| 20.00 |" in text
    assert "- not asked for in this run: prefill 4,000 tokens" in text
    assert "- other: there is no .cache/model.gguf" in text


def test_what_is_no_whole_run_is_kept_apart() -> None:
    whole = empty_results()
    whole.save()
    for partial in (empty_results(quick=True), empty_results()):
        partial.left_out = ["prefill 4,000 tokens"]
        partial.rounds = 9
        assert partial.save().stem in ("peers-fake-quick", "peers-fake-part")
    kept = load_results("fake")
    assert kept is not None
    assert kept.rounds == whole.rounds


def test_who_cannot_be_installed_is_named_with_the_reason(
    model: ModelFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.peers.environment.shutil.which", lambda _: None)
    absent = Contestant("node", "peer.mjs", NodeEnvironment(tmp_path / "node", "engine", "1.0", {}))
    results = empty_results()
    entries = command.prepare([Contestant(OUR_NAME, FAKE), absent], model, results)
    assert [entry.name for entry in entries] == [OUR_NAME]
    [outcome] = results.contestants
    assert outcome.failures == ["Node.js with npm is not on PATH"]
    results.other_load_percent = [0.0]
    assert "- node: Node.js with npm is not on PATH" in report(results, {})
