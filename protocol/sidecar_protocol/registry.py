"""The method registry: which methods exist, what they take, give back and stream.

@method("tokens.encode", result=TokensEncoded)
class TokensEncode(Params):
    "Turn text into token ids."
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sidecar_protocol.base import Event, Params, Result


@dataclass(frozen=True, slots=True)
class Method:
    """One method of the protocol."""

    name: str
    params: type[Params]
    result: type[Result]
    events: tuple[type[Event], ...]
    doc: str
    since: int
    debug_only: bool

    @property
    def streams(self) -> bool:
        """Whether it may stream events."""
        return bool(self.events)


ParamsType = TypeVar("ParamsType", bound=Params)

METHODS: dict[str, Method] = {}


def method(
    name: str,
    *,
    result: type[Result],
    events: tuple[type[Event], ...] = (),
    since: int = 1,
    debug_only: bool = False,
) -> Callable[[type[ParamsType]], type[ParamsType]]:
    """Register the decorated Params class as what the method `name` takes."""

    def register(params: type[ParamsType]) -> type[ParamsType]:
        doc = inspect.cleandoc(params.__doc__ or "")
        METHODS[name] = Method(name, params, result, events, doc, since, debug_only)
        return params

    return register
