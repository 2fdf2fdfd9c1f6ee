"""Functions of this program that the model may call.

    tools = HostTools()

    @tools.register
    def weather(city: str, days: int = 1) -> str:
        "The weather of a city."
        return "rain"

    async with Engine.spawn(app_id="my-app", handlers=tools.handlers) as engine:
        answer = await engine.chat.create(
            messages=[{"role": "user", "content": "Will it rain in Bern?"}],
            tools=tools.definitions,
            tool_execution="host",
        )

A function's schema comes from its type hints, which msgspec must be able to
read from JSON; `Annotated[str, msgspec.Meta(description="…")]` describes a
parameter. What it raises is told to the model, and the conversation goes on.
"""

import asyncio
import inspect
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, get_type_hints

import msgspec

from sidecar_client.errors import InvalidParams, NotFound
from sidecar_client.host_handlers import HostHandlers
from sidecar_protocol.chat_messages import ChatFunction, ChatTool
from sidecar_protocol.host import HostCallTool, ToolOutput

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")

FunctionType = TypeVar("FunctionType", bound=Callable[..., object])


class HostTools:
    """Functions by name; the same for Engine and SyncEngine.

    Coroutine functions run on the engine's loop, plain ones each in a thread.
    When the engine cancels a call, a coroutine is cancelled; a plain function
    runs to its end, and its result is thrown away.
    """

    def __init__(self, functions: Sequence[Callable[..., object]] = ()) -> None:
        self._tools: dict[str, _Tool] = {}
        for function in functions:
            self.add(function)

    def register(self, function: FunctionType) -> FunctionType:
        """Decorator: the model may call the function by its name. See `add`."""
        self.add(function)
        return function

    def add(
        self, function: Callable[..., object], *, name: str | None = None, description: str | None = None
    ) -> None:
        """Let the model call a function, by its own name and docstring unless others are given.

        Raises ValueError for a name that is taken or no tool's name, TypeError
        for parameters without a type that msgspec can read from JSON.
        """
        tool = _Tool.of(function, name, description)
        if tool.name in self._tools:
            raise ValueError(f"there is a tool {tool.name!r} already; give this one another name")
        self._tools[tool.name] = tool

    @property
    def definitions(self) -> list[ChatTool]:
        """What `chat.create` takes as `tools`."""
        return [tool.definition for tool in self._tools.values()]

    @property
    def handlers(self) -> HostHandlers:
        """What `Engine.spawn` and `Engine.connect` take as `handlers`."""
        return {"host.call_tool": self.call}

    async def call(self, request: HostCallTool) -> ToolOutput:
        """Answer a `host.call_tool`; what the function raises is its output. Raises NotFound."""
        tool = self._tools.get(request.name)
        if tool is None:
            raise NotFound(f"there is no tool {request.name!r}; there are {', '.join(self._tools) or 'none'}")
        (outcome,) = await asyncio.gather(tool.run(request.arguments), return_exceptions=True)
        if isinstance(outcome, str):
            return ToolOutput(output=outcome)
        if not isinstance(outcome, Exception):
            raise outcome
        return ToolOutput(output=str(outcome) or type(outcome).__name__, is_error=True)


@dataclass(frozen=True, slots=True)
class _Tool:
    name: str
    function: Callable[..., object]
    arguments: type[msgspec.Struct]
    definition: ChatTool

    @classmethod
    def of(cls, function: Callable[..., object], name: str | None, description: str | None) -> "_Tool":
        if name is None:
            name = str(getattr(function, "__name__", ""))
        if _NAME.fullmatch(name) is None:
            raise ValueError(
                f"{name!r} is no name of a tool: up to 64 letters, digits, underscores and dashes"
            )
        arguments = _arguments_type(name, function)
        definition = ChatTool(
            function=ChatFunction(
                name=name,
                description=inspect.getdoc(function) if description is None else description,
                parameters=_schema(name, arguments),
            )
        )
        return cls(name, function, arguments, definition)

    async def run(self, plain: dict[str, object]) -> str:
        """Call the function; gives what the model is told. Raises InvalidParams for other arguments."""
        try:
            # Models write "3" for 3 now and then; what can be read as the type is taken.
            read = msgspec.convert(plain, self.arguments, strict=False)
        except msgspec.ValidationError as error:
            raise InvalidParams(f"arguments of {self.name}: {error}") from error
        given = {field: getattr(read, field) for field in read.__struct_fields__}
        if inspect.iscoroutinefunction(self.function):
            return _as_text(await self.function(**given))
        result = await asyncio.to_thread(self.function, **given)
        return _as_text(await result if isinstance(result, Awaitable) else result)


def _arguments_type(name: str, function: Callable[..., object]) -> type[msgspec.Struct]:
    """A struct with the function's parameters as its fields."""
    hints = get_type_hints(function, include_extras=True)
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for parameter in inspect.signature(function).parameters.values():
        where = f"tool {name}: parameter {parameter.name}"
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"{where} cannot be given by name")
        if parameter.name not in hints:
            raise TypeError(f"{where} has no type")
        if parameter.default is parameter.empty:
            fields.append((parameter.name, hints[parameter.name]))
        else:
            fields.append((parameter.name, hints[parameter.name], parameter.default))
    return msgspec.defstruct(name, fields, kw_only=True, forbid_unknown_fields=True)


def _schema(name: str, arguments: type[msgspec.Struct]) -> dict[str, object]:
    """JSON Schema of the arguments: an object at the top, what it refers to in `$defs`."""
    try:
        (reference,), definitions = msgspec.json.schema_components([arguments], ref_template="#/$defs/{name}")
    except TypeError as error:
        raise TypeError(f"tool {name}: {error}") from error
    schema = definitions.pop(str(reference["$ref"]).removeprefix("#/$defs/"))
    schema.pop("title", None)
    return {**schema, "$defs": definitions} if definitions else schema


def _as_text(result: object) -> str:
    """What the model is told: text as it is, anything else as JSON."""
    if isinstance(result, str):
        return result
    return msgspec.json.encode(result).decode()
