"""Methods whose handlers are written by the test that calls them, and the events they emit."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import ClassVar, Self

from sidecar.service.context import RequestContext
from sidecar_protocol.base import Coalesce, Event, Result, StreamingParams


class Text(Event, tag="text"):
    """Text that joins."""

    coalesce: ClassVar[Coalesce] = Coalesce.CONCAT

    text: str

    def joined_with(self, later: Self) -> Self | None:
        return type(self)(text=self.text + later.text)


class Progress(Event, tag="progress"):
    """Only the newest matters."""

    coalesce: ClassVar[Coalesce] = Coalesce.KEEP_LAST

    done: int


class Fact(Event, tag="fact"):
    """Every one matters."""

    fact: str


class Answer(Result):
    """What a script gave back."""

    answer: object


class Play(StreamingParams, kw_only=True):
    """Which script to run."""

    script: str = "echo"
    value: object = None


Script = Callable[[Play, RequestContext], Awaitable[object]]


@dataclass
class Stage:
    """What the handlers of a test do: `test.play` runs the script that its params name."""

    scripts: dict[str, Script] = field(default_factory=dict)
    contexts: dict[int, RequestContext] = field(default_factory=dict)
    arrived: asyncio.Queue[int] = field(default_factory=asyncio.Queue)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.scripts |= {"echo": self._echo, "wait": self._wait}

    def script(self, function: Script) -> Script:
        """Decorator: give a test's own script its function's name."""
        self.scripts[function.__name__] = function
        return function

    async def context(self, request_id: int) -> RequestContext:
        """The context of a request, once its handler runs."""
        while request_id not in self.contexts:
            await asyncio.wait_for(self.arrived.get(), 10)
        return self.contexts[request_id]

    async def play(self, params: Play, context: RequestContext) -> Answer:
        self.contexts[context.request_id] = context
        self.arrived.put_nowait(context.request_id)
        return Answer(answer=await self.scripts[params.script](params, context))

    async def _echo(self, params: Play, context: RequestContext) -> object:
        return params.value

    async def _wait(self, params: Play, context: RequestContext) -> object:
        await self.released.wait()
        return "released"
