"""The table of scenarios: what every client must do, written once."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from tests.clients.runner.client import Client

Act = Callable[[Client], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Scenario:
    """A row of the table."""

    name: str
    act: Act


TABLE: list[Scenario] = []


def scenario(act: Act) -> Act:
    """Decorator: a row of the table, by its file's and the function's name."""
    name = f"{act.__module__.rpartition('.')[2]}: {act.__name__}".replace("_", " ")
    assert all(other.name != name for other in TABLE), f"there is a scenario {name!r} already"
    TABLE.append(Scenario(name, act))
    return act
