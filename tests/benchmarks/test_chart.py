"""The comparison's picture."""

from xml.etree.ElementTree import fromstring

from benchmarks.machine import this_machine
from benchmarks.peers.cases import arrival, decode
from benchmarks.peers.chart import chart
from benchmarks.peers.contestants import OUR_NAME
from benchmarks.peers.results import CaseResult, ContestantResult, PeerResults

SVG = "{http://www.w3.org/2000/svg}"


def results() -> PeerResults:
    speeds = {OUR_NAME: [300.0, 100.0, 200.0], "a & b": [50.0, 50.0, 50.0]}
    return PeerResults(
        "fake",
        this_machine(),
        2,
        3,
        False,
        [0.0],
        [ContestantResult(name, "file") for name in (OUR_NAME, "a & b", "absent")],
        [
            CaseResult(decode(1, 64, 8), speeds),
            CaseResult(arrival(8, 512), first_token_seconds={OUR_NAME: [1.0]}),
            CaseResult(decode(8, 64, 8), {"a & b": [1.0]}),
        ],
    )


def test_bars_are_as_long_as_the_medians_say() -> None:
    root = fromstring(chart(results(), "Model"))
    ours, theirs = (
        [float(bar.attrib["width"]) for bar in root.iter(f"{SVG}rect") if bar.attrib["class"] == kind]
        for kind in ("ours", "theirs")
    )
    assert len(ours) == len(theirs) == 1
    assert abs(ours[0] / theirs[0] - 4) < 0.01


def test_it_names_the_machine_and_brings_both_themes() -> None:
    text = chart(results(), "Model")
    words = [element.text for element in fromstring(text).iter(f"{SVG}text")]
    assert any(word and this_machine().processor in word for word in words)
    assert "a & b" in words
    assert "200" in words
    assert "prefers-color-scheme: dark" in text
    assert "absent" not in words
