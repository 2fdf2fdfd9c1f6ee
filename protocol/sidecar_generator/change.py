"""Two versions of the protocol side by side."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from sidecar_generator.schema import Method, Schema, Type, sent_by_engine, sent_by_host

KindOfType = TypeVar("KindOfType", bound=Type)


@dataclass(frozen=True)
class Change:
    """From what the last release declared to what is declared now."""

    before: Schema
    after: Schema

    @cached_property
    def sent_by_host(self) -> set[str]:
        """Types of the last release that hosts built with it will go on sending."""
        return sent_by_host(self.before)

    @cached_property
    def sent_by_engine(self) -> set[str]:
        """Types of the last release that hosts built with it can read."""
        return sent_by_engine(self.before)

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
