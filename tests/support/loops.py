"""Event loops that tests run others on."""

import asyncio
from typing import Any, NoReturn


class LoopWithoutReaders(asyncio.SelectorEventLoop):
    """Refuses as Windows' proactor loop does; what it needs for itself goes another way."""

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> NoReturn:
        """Not to be had."""
        raise NotImplementedError
