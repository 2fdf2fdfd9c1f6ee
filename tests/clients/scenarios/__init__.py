"""Scenarios that hold for every client, one file for each group of them."""

from tests.clients.scenarios import (
    cancelling,
    deadlines,
    doors,
    endings,
    losses,
    measures,
    slow_readers,
    spawning,
    streams,
    tools,
)
from tests.clients.scenarios.table import TABLE, Scenario

__all__ = [
    "TABLE",
    "Scenario",
    "cancelling",
    "deadlines",
    "doors",
    "endings",
    "losses",
    "measures",
    "slow_readers",
    "spawning",
    "streams",
    "tools",
]
