"""What of a request's tools the model is offered, and what it is held to."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from sidecar.errors import InvalidParams, Unsupported
from sidecar_protocol.chat import ChatCreate
from sidecar_protocol.chat_messages import AllowedToolsChoice, ChatTool, ChatToolChoice, NamedToolChoice


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """The tools a prompt shows, and which of them may or must be called.

    Without grammars a model is held to it by words alone: whoever runs the
    request checks the answer with `broken_by`.
    """

    tools: tuple[ChatTool, ...]
    allowed: frozenset[str]
    required: bool = False
    parallel: bool = True

    @property
    def names(self) -> frozenset[str]:
        """All functions that the prompt shows."""
        return frozenset(tool.function.name for tool in self.tools)

    @property
    def instruction(self) -> str | None:
        """What the system message adds, or None for nothing."""
        sentences = []
        if self.required and len(self.allowed) == 1:
            sentences.append(f"You must answer with a call of the function {min(self.allowed)}.")
        elif self.required:
            sentences.append("You must answer with a function call.")
        if self.allowed < self.names:
            sentences.append(f"Call none but these functions: {', '.join(sorted(self.allowed))}.")
        if not self.parallel:
            sentences.append("Call one function at a time.")
        return " ".join(sentences) or None

    def broken_by(self, called: Sequence[str]) -> str | None:
        """How an answer with these calls breaks the request's tool_choice; None when it keeps to it."""
        if self.required and not called:
            return "answered without the call it was asked for"
        forbidden = [name for name in called if name in self.names - self.allowed]
        return f"called {forbidden[0]}, which tool_choice does not allow" if forbidden else None


def tool_offer(request: ChatCreate) -> ToolOffer | None:
    """What the request offers; None where it offers no tool.

    Raises InvalidParams for a choice that does not fit the tools, Unsupported
    for arguments that must match their schema, which takes a grammar.
    """
    choice = request.tool_choice
    if not request.tools:
        _refuse_without_tools(request)
        return None
    names = [tool.function.name for tool in request.tools]
    for index, tool in enumerate(request.tools):
        where = f"params.tools[{index}].function"
        if tool.function.name in names[:index]:
            raise InvalidParams(
                f"{where}.name is {tool.function.name!r} a second time", parameter=f"{where}.name"
            )
        if tool.function.strict:
            raise Unsupported(
                f"{where}.strict is true, but arguments cannot be held to a schema yet; leave it out"
            )
    if choice == "none":
        return None
    allowed = _allowed(choice, names)
    tools = request.tools
    if isinstance(choice, NamedToolChoice):
        tools = [tool for tool in tools if tool.function.name in allowed]
    return ToolOffer(
        tuple(tools),
        allowed,
        required=_is_required(choice),
        parallel=request.parallel_tool_calls is not False,
    )


def after_tools(request: ChatCreate) -> ChatCreate:
    """The request as it goes on behind tool results: what had to be called was called."""
    choice = request.tool_choice
    if isinstance(choice, AllowedToolsChoice):
        allowed = msgspec.structs.replace(choice.allowed_tools, mode="auto")
        return msgspec.structs.replace(request, tool_choice=AllowedToolsChoice(allowed_tools=allowed))
    return msgspec.structs.replace(request, tool_choice=None) if _is_required(choice) else request


def _refuse_without_tools(request: ChatCreate) -> None:
    given = {
        "tool_choice": request.tool_choice not in (None, "none"),
        "parallel_tool_calls": request.parallel_tool_calls is not None,
        "tool_execution": request.tool_execution != "caller",
    }
    for name, is_given in given.items():
        if is_given:
            parameter = f"params.{name}"
            raise InvalidParams(f"{parameter} is given, but params.tools has no tool", parameter=parameter)


def _allowed(choice: ChatToolChoice | None, names: Sequence[str]) -> frozenset[str]:
    if isinstance(choice, NamedToolChoice):
        _check_known(choice.function.name, names, "params.tool_choice.function.name")
        return frozenset({choice.function.name})
    if not isinstance(choice, AllowedToolsChoice):
        return frozenset(names)
    where = "params.tool_choice.allowed_tools.tools"
    tools = choice.allowed_tools.tools
    if not tools:
        raise InvalidParams(f"{where} is empty; use tool_choice 'none' to allow no tool", parameter=where)
    for index, tool in enumerate(tools):
        _check_known(tool.function.name, names, f"{where}[{index}].function.name")
    return frozenset(tool.function.name for tool in tools)


def _check_known(name: str, names: Sequence[str], where: str) -> None:
    if name not in names:
        raise InvalidParams(
            f"{where} is {name[:100]!r}, which is not in params.tools; there are {', '.join(names)}",
            parameter=where,
        )


def _is_required(choice: ChatToolChoice | None) -> bool:
    if isinstance(choice, AllowedToolsChoice):
        return choice.allowed_tools.mode == "required"
    return choice == "required" or isinstance(choice, NamedToolChoice)
