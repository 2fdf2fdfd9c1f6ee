"""Event loops that tests run others on."""

import asyncio
from collections.abc import Callable


class LoopWithoutReaders(asyncio.SelectorEventLoop):
    """Refuses as Windows' proactor loop does."""

    def add_reader(self, fd: object, callback: Callable[..., object], *args: object) -> None:  # type: ignore[override]
        """Not to be had."""
        if callback != self._read_from_self:  # type: ignore[attr-defined]
            raise NotImplementedError
        super().add_reader(fd, callback, *args)  # type: ignore[arg-type]
