"""What `make bench` finds: rows with a number, its spread, a bar and a verdict."""

import enum
from collections.abc import Sequence

import msgspec

from benchmarks.folders import RESULTS_DIR
from benchmarks.machine import QUIET_PERCENT, Machine
from benchmarks.summary import Summary, summarize
from benchmarks.tables import markdown_table

RESULTS = RESULTS_DIR / "bench.json"
NO_BAR = "–"


class Verdict(enum.StrEnum):
    """Whether the median keeps to the bar."""

    KEPT = "kept"
    MISSED = "MISSED"
    NO_BAR = "–"


class Bar(msgspec.Struct, frozen=True):
    """A limit for the median."""

    limit: float
    at_least: bool = False

    def verdict(self, value: float) -> Verdict:
        """Whether `value` keeps to it."""
        kept = value >= self.limit if self.at_least else value <= self.limit
        return Verdict.KEPT if kept else Verdict.MISSED

    def as_text(self, unit: str) -> str:
        """For the table."""
        return f"{'≥' if self.at_least else '≤'} {number(self.limit)} {unit}"


class Row(msgspec.Struct, frozen=True):
    """One line of the table."""

    name: str
    unit: str
    value: Summary
    bar: Bar | None = None

    @property
    def verdict(self) -> Verdict:
        """Of the median."""
        return self.bar.verdict(self.value.median) if self.bar else Verdict.NO_BAR

    def cells(self) -> list[str]:
        """What, median, lowest to highest, bar, verdict."""
        value = self.value
        spread = NO_BAR if value.low == value.high else f"{number(value.low)} – {number(value.high)}"
        return [
            self.name,
            f"{number(value.median)} {self.unit}",
            spread,
            self.bar.as_text(self.unit) if self.bar else NO_BAR,
            self.verdict,
        ]


class BenchResults(msgspec.Struct):
    """A whole run."""

    machine: Machine
    model: str
    other_load_percent: list[float]
    """How busy the machine was with other work, before each part."""
    quick: bool
    rows: list[Row]

    def report(self) -> str:
        """The run as Markdown."""
        load = summarize(self.other_load_percent)
        parts = [
            self.machine.sentence()
            + f". Model: {self.model}. Other work on the machine: "
            + f"{load.median:.0f} % ({load.low:.0f}–{load.high:.0f}).",
            markdown_table(
                ["", "median", "lowest – highest", "bar", "verdict"], [row.cells() for row in self.rows]
            ),
        ]
        if load.high > QUIET_PERCENT:
            parts.insert(1, "**The machine was busy with other work: do not trust these numbers.**")
        return "\n\n".join(parts)

    def save(self) -> None:
        """Write it to RESULTS."""
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_bytes(msgspec.json.format(msgspec.json.encode(self)))


def load_results() -> BenchResults | None:
    """The last run, or None."""
    return msgspec.json.decode(RESULTS.read_bytes(), type=BenchResults) if RESULTS.exists() else None


def row(name: str, unit: str, values: Sequence[float], bar: Bar | None = None) -> Row:
    """A row of repeated measurements."""
    return Row(name, unit, summarize(values), bar)


def number(value: float) -> str:
    """Three digits or all before the point, whatever is more."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
