"""The comparison's last whole runs as documentation."""

from pathlib import Path

import pytest

from benchmarks.machine import this_machine
from benchmarks.peers import __main__ as command
from benchmarks.peers.cases import decode
from benchmarks.peers.contestants import OUR_NAME
from benchmarks.peers.results import CaseResult, ContestantResult, PeerResults


def test_a_whole_run_becomes_tables_and_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text(
        "".join(f"<!-- begin peers {name} -->\n<!-- end peers {name} -->\n" for name in command.MODELS)
    )
    monkeypatch.setattr(command, "DOCUMENT", document)
    monkeypatch.setattr("benchmarks.peers.results.RESULTS_DIR", tmp_path)
    speeds = {OUR_NAME: [200.0], "vLLM, bfloat16": [50.0]}
    contestants = [ContestantResult(name, "a file") for name in speeds]
    case = CaseResult(decode(1, 64, 8), speeds)
    PeerResults("smollm2-135m", this_machine(), 2, 1, False, [0.0], contestants, [case]).save()
    command.write_docs()
    text = document.read_text()
    assert "4.00× (4.00–4.00)" in text
    assert "](peers-smollm2-135m.svg)" in text
    assert this_machine().processor in (tmp_path / "peers-smollm2-135m.svg").read_text()
    assert not (tmp_path / "peers-1.4b.svg").exists()
    assert text.endswith("<!-- begin peers 1.4b -->\n<!-- end peers 1.4b -->\n")
