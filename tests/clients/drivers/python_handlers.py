"""Handlers and tools that do what a driver's commands say: answer, throw, or hold until they are told."""

import asyncio
import inspect
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import msgspec
from python_said import Fields, say

from sidecar_client import HostTools, errors

Handlers = dict[str, Callable[[object], Awaitable[object]]]
ARGUMENT_TYPES = {"integer": int, "number": float, "string": str, "boolean": bool}


@dataclass
class Held:
    """A handler that was called; `failure` makes what it raises."""

    answer: "asyncio.Future[object]"
    failure: Callable[[str], Exception]


class Holder:
    """Makes handlers, says when they are asked, and ends those that hold."""

    def __init__(self) -> None:
        self._asked: dict[str, Held] = {}
        self._names = (f"h{number}" for number in itertools.count(1))

    def handlers(self, given: Fields) -> Handlers:
        """What spawning and connecting take, for the `handlers` and `tools` of a command."""
        tools = HostTools()
        for tool in given.get("tools", ()):
            tools.add(self._function(tool), name=tool["name"], description="A tool.")
        handlers: Handlers = dict(tools.handlers) if given.get("tools") else {}
        for handler in given.get("handlers", ()):
            handlers[handler["method"]] = partial(self._handle, handler)
        return handlers

    def answer(self, given: Fields) -> None:
        """End a handler that holds, unless it has ended. Raises KeyError for one that never was."""
        held = self._asked[given["held"]]
        if held.answer.done():
            return
        if "throw" in given:
            held.answer.set_exception(held.failure(given["throw"]))
        else:
            held.answer.set_result(given["result"])

    def _function(self, tool: Fields) -> Callable[..., Awaitable[object]]:
        """A function with the parameters of the tool's schema, as an application would write it."""
        properties = tool.get("parameters", {}).get("properties", {})
        types = {name: ARGUMENT_TYPES[schema["type"]] for name, schema in properties.items()}

        async def function(**arguments: object) -> object:
            about = {"method": "host.call_tool", "tool": tool["name"], "params": arguments}
            return await self._behave(tool, RuntimeError, about)

        function.__annotations__ = types
        vars(function)["__signature__"] = inspect.Signature(
            [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in types]
        )
        return function

    async def _handle(self, handler: Fields, params: object) -> object:
        about = {"method": handler["method"], "params": msgspec.to_builtins(params)}
        return await self._behave(handler, errors.Internal, about)

    async def _behave(self, spec: Fields, failure: Callable[[str], Exception], about: Fields) -> object:
        name = next(self._names)
        held = self._asked[name] = Held(asyncio.get_running_loop().create_future(), failure)
        say("asked", held=name, **about)
        match spec["behaviour"]:
            case "answer":
                held.answer.set_result(spec["result"])
            case "throw":
                held.answer.set_exception(failure(spec["message"]))
        try:
            return await held.answer
        except asyncio.CancelledError:
            say("withdrawn", held=name)
            raise
