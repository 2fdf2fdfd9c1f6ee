"""The comparison as a picture: an SVG with one panel of bars a case, in the reader's light or dark theme."""

from collections.abc import Sequence
from html import escape

from benchmarks.peers.contestants import OUR_NAME
from benchmarks.peers.report import speed
from benchmarks.peers.results import CaseResult, PeerResults

COLUMNS = 2
PANEL_WIDTH, LABEL_WIDTH, VALUE_WIDTH = 460, 170, 60
BAR_HEIGHT, BAR_STEP = 14, 20
TITLE_HEIGHT, PANEL_GAP, MARGIN, HEADING = 26, 22, 20, 52
# The picture brings its own background, so that it is legible wherever it is shown.
STYLE = """
    .ground { fill: #ffffff } .text { fill: #1f2328 } .faint { fill: #59636e }
    .ours { fill: #0b6e4f } .theirs { fill: #aab4be }
    text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif }
    .title { font-weight: 600 } .heading { font-size: 15px; font-weight: 600 }
    @media (prefers-color-scheme: dark) {
      .ground { fill: #0d1117 } .text { fill: #f0f6fc } .faint { fill: #9198a1 }
      .ours { fill: #3fb98a } .theirs { fill: #5c6773 }
    }
"""


def chart(results: PeerResults, title: str) -> str:
    """The SVG's text: tokens per second, medians, every panel with a scale of its own."""
    panels = [
        (result, bars)
        for result in results.cases
        if not result.is_arrival and OUR_NAME in (bars := _bars(results, result))
    ]
    rows = [panels[start : start + COLUMNS] for start in range(0, len(panels), COLUMNS)]
    width = 2 * MARGIN + COLUMNS * PANEL_WIDTH + (COLUMNS - 1) * PANEL_GAP
    body: list[str] = []
    top = MARGIN + HEADING
    for row in rows:
        for column, (result, bars) in enumerate(row):
            body += _panel(MARGIN + column * (PANEL_WIDTH + PANEL_GAP), top, result, bars)
        top += TITLE_HEIGHT + BAR_STEP * max(len(bars) for _, bars in row) + PANEL_GAP
    height = top + MARGIN - PANEL_GAP
    heading = f"{title}: tokens per second, more is better"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"',
            f'  width="{width}" height="{height}" role="img" aria-label="{escape(heading)}">',
            f"  <style>{STYLE}  </style>",
            f'  <rect class="ground" width="{width}" height="{height}" rx="8"/>',
            _text(MARGIN, MARGIN + 12, heading, "text heading"),
            _text(MARGIN, MARGIN + 32, _machine(results), "faint"),
            *body,
            "</svg>\n",
        ]
    )


def _machine(results: PeerResults) -> str:
    return f"{results.machine.sentence()}; {results.threads} threads each, median of {results.rounds} rounds"


def _bars(results: PeerResults, result: CaseResult) -> dict[str, float]:
    found = {outcome.name: speed(result, outcome.name) for outcome in results.contestants}
    return {name: value for name, value in found.items() if value is not None}


def _panel(left: int, top: int, result: CaseResult, bars: dict[str, float]) -> Sequence[str]:
    scale = (PANEL_WIDTH - LABEL_WIDTH - VALUE_WIDTH) / max(bars.values())
    parts = [_text(left, top + 14, result.case.name, "text title")]
    for index, (name, value) in enumerate(bars.items()):
        y = top + TITLE_HEIGHT + index * BAR_STEP
        start, length = left + LABEL_WIDTH, max(1.0, value * scale)
        kind = "ours" if name.startswith(OUR_NAME) else "theirs"
        parts += [
            _text(start - 8, y + 11, name, "text", anchor="end"),
            f'  <rect class="{kind}" x="{start}" y="{y}" width="{length:.1f}" height="{BAR_HEIGHT}" rx="2"/>',
            _text(start + length + 6, y + 11, f"{value:,.0f}", "text"),
        ]
    return parts


def _text(x: float, y: float, content: str, kind: str, *, anchor: str = "start") -> str:
    return f'  <text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}</text>'
