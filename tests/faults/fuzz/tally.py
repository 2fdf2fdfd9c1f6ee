"""How many messages ended at which stage, and the table of it."""

from collections import Counter
from collections.abc import Sequence

from benchmarks.tables import markdown_table

OTHER = "something else"


class Tally:
    """Counts by stage; `stages` are in the order in which a message meets them."""

    def __init__(self, stages: Sequence[str], deep: Sequence[str]) -> None:
        self._counts = Counter(dict.fromkeys(stages, 0))
        self._deep = deep

    def add(self, stage: str) -> None:
        """One message ended here."""
        self._counts[stage] += 1

    def __getitem__(self, stage: str) -> int:
        return self._counts[stage]

    @property
    def total(self) -> int:
        """All messages."""
        return self._counts.total()

    @property
    def deep_share(self) -> float:
        """The share of messages that came as far as one of the `deep` stages."""
        return sum(self._counts[stage] for stage in self._deep) / max(1, self.total)

    def table(self) -> str:
        """Stages, counts and shares."""
        rows = [
            [stage, f"{count:,}", f"{100 * count / max(1, self.total):.2f} %"]
            for stage, count in self._counts.items()
        ]
        return markdown_table(["ended at", "messages", "share"], [*rows, ["all", f"{self.total:,}", ""]])
