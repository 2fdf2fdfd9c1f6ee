"""Two versions of the protocol side by side."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from sidecar_generator.schema import Method, Schema, Type, reachable

KindOfType = TypeVar("KindOfType", bound=Type)
SENT_BY_HOST = ("Hello", "SpawnLine", "Header")
SENT_BY_ENGINE = ("Welcome", "ReadyLine", "StartError", "Bye", "ConnectionFile", "ErrorBody", "Header")


@dataclass(frozen=True)
class Change:
    """From what the last release declared to what is declared now."""

    before: Schema
    after: Schema

    @cached_property
    def sent_by_host(self) -> set[str]:
        """Types of the last release in messages of hosts: what hosts built with it will go on sending."""
        roots = [method.params for method in self.before.methods]
        roots += [method.result for method in self.before.host_requests]
        return reachable(self.before, roots + self._messages(SENT_BY_HOST))

    @cached_property
    def sent_by_engine(self) -> set[str]:
        """Types of the last release in messages of the engine: what hosts built with it can read."""
        roots = [method.result for method in self.before.methods]
        roots += [method.events for method in self.before.methods if method.events is not None]
        roots += [method.params for method in self.before.host_requests]
        roots += [item.params for item in self.before.notifications]
        return reachable(self.before, roots + self._messages(SENT_BY_ENGINE))

    def methods(self) -> Iterator[tuple[Method, Method | None]]:
        """Each method and host request of the last release, with its present form if there is one."""
        for old, new in (
            (self.before.methods, self.after.methods),
            (self.before.host_requests, self.after.host_requests),
        ):
            present = {method.name: method for method in new}
            yield from ((method, present.get(method.name)) for method in old)

    def types(self, kind: type[KindOfType]) -> Iterator[tuple[KindOfType, KindOfType]]:
        """Each type of this kind that both have."""
        for name, old in self.before.types.items():
            new = self.after.types.get(name)
            if isinstance(old, kind) and isinstance(new, kind):
                yield old, new

    def _messages(self, names: tuple[str, ...]) -> list[str]:
        return [name for name in names if name in self.before.types]
