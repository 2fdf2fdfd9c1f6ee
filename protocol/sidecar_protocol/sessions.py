"""sessions.*: the agent loop. A run is turns of a model with tool calls between them, journaled."""

from functools import partial
from typing import Annotated, ClassVar, Literal, Self

import msgspec

from sidecar_protocol.base import Coalesce, Event, Params, Result, StreamingParams, open_enum
from sidecar_protocol.chat_messages import ToolChoiceMode
from sidecar_protocol.common import (
    Done,
    JsonObject,
    LoadingEvent,
    Metadata,
    OverflowEvent,
    PrefillEvent,
    Priority,
    QueuedEvent,
    Usage,
)
from sidecar_protocol.registry import method
from sidecar_protocol.responses_items import FunctionOutput, Input, normalise_field
from sidecar_protocol.responses_tools import FunctionTool

PolicyDecision = Literal["allow", "ask", "deny"]
"""Call it, ask the host first (host.approve_tool), or tell the model that it may not."""
RunStatus = Annotated[str, open_enum("completed", "limited", "cancelled", "failed", "interrupted")]
"""How a run ended; an interrupted one can be resumed."""
RunLimit = Annotated[
    str, open_enum("max_turns", "max_tool_calls", "max_seconds", "repeated_calls", "context")
]
"""Which limit ended a run."""
ToolOutcome = Annotated[str, open_enum("completed", "failed", "blocked", "denied", "unknown", "cancelled")]
"""What became of a tool call; "unknown": there is no such tool."""
ToolSource = Annotated[str, open_enum("mcp", "host")]
"""Who executes a tool."""
RUN_ERRORS = (
    "not_found",
    "conflict",
    "model_load_failed",
    "context_overflow",
    "out_of_memory",
    "slow_consumer",
    "needs_auth",
    "upstream_failed",
)


class PolicyRule(Params):
    """Decides the calls that match all of what it names."""

    decision: PolicyDecision
    server: str | None = None
    """A server's name, with * for any letters; None: any, and tools of the host."""
    tool: str | None = None
    """A tool's name, with * for any letters."""
    arguments: dict[str, str] = {}
    """Names of arguments, each with a regular expression that its whole value matches."""


class ToolPolicy(Params):
    """The first rule that matches decides."""

    rules: list[PolicyRule] = []
    otherwise: PolicyDecision = "ask"
    """When none matches."""


class RunLimits(Params):
    """Where a run ends if it has not by then."""

    max_turns: Annotated[int, msgspec.Meta(ge=1)] = 10
    max_tool_calls: Annotated[int, msgspec.Meta(ge=0)] = 50
    max_seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """On the clock, time spent waiting for approval not counted."""
    max_result_tokens: Annotated[int, msgspec.Meta(ge=1)] = 4096
    """Of one tool's result; the rest of it is cut off, and the model is told."""


class SpecificTools(Params):
    """Call one of these tools."""

    tools: list[str]


RunToolChoice = ToolChoiceMode | SpecificTools
"""A mode, or which tools to choose from."""


class Session(Result):
    """A place for runs that share history, tools and policy."""

    id: str
    created_at: int
    """Seconds since the epoch."""
    model: str
    stored: bool
    metadata: Metadata


class SessionTool(Result, kw_only=True):
    """A tool that runs of a session may call."""

    name: str
    """What the model calls it."""
    source: ToolSource
    server: str | None = None
    description: str | None = None
    parameters: JsonObject | None = None
    decision: PolicyDecision
    """What the policy says of a call whose arguments no rule names."""


class SessionToolList(Result):
    """Tools of a session."""

    tools: list[SessionTool]


class ExecutedTool(Result, kw_only=True):
    """A tool call and what became of it."""

    call_id: str
    turn: int
    """In which of the run's turns, from 1; 0: outside of a run."""
    name: str
    source: ToolSource | None = None
    """None for a tool that does not exist."""
    server: str | None = None
    arguments: str
    """JSON as the model wrote it."""
    outcome: ToolOutcome
    output: FunctionOutput | None = None
    duration_ms: float


class SessionRun(Result, kw_only=True):
    """A run, whole or as far as it went."""

    id: str
    session_id: str
    status: RunStatus
    limit: RunLimit | None = None
    """For status "limited"."""
    final_message: str | None = None
    """What the model said last, when it said something without calling a tool."""
    tool_calls_made: list[ExecutedTool]
    turns: int
    usage: Usage
    """Of all turns."""


class _Numbered(Event, kw_only=True):
    """A step of a run; `sequence_number` rises by one, where deltas were joined it is the last one's."""

    sequence_number: int
    turn: int


class _RunDelta(_Numbered, kw_only=True):
    """A piece of text."""

    coalesce: ClassVar[Coalesce] = Coalesce.CONCAT

    delta: str

    def joined_with(self, later: Self) -> Self | None:
        """Both texts as one, when they belong to the same turn."""
        if self.turn != later.turn:
            return None
        return msgspec.structs.replace(later, delta=self.delta + later.delta)


class RunStartedEvent(Event, kw_only=True, tag="run"):
    """The run exists; the id is what sessions.resume takes."""

    sequence_number: int
    run_id: str


class RunTurnEvent(_Numbered, tag="turn"):
    """The model's next turn begins."""


class RunTextEvent(_RunDelta, tag="text"):
    """A piece of the model's text."""


class RunReasoningEvent(_RunDelta, tag="reasoning"):
    """A piece of the model's reasoning."""


class RunToolCallEvent(_Numbered, kw_only=True, tag="tool_call"):
    """The model has called a tool."""

    call_id: str
    name: str
    arguments: str
    """JSON as the model wrote it."""


class RunApprovalEvent(_Numbered, kw_only=True, tag="approval"):
    """The host is being asked about a call."""

    call_id: str
    name: str


class RunToolProgressEvent(Event, kw_only=True, tag="tool_progress"):
    """How far a tool says it is; not repeated after a resume."""

    coalesce: ClassVar[Coalesce] = Coalesce.KEEP_LAST

    call_id: str
    progress: float
    total: float | None = None
    message: str | None = None


class RunToolResultEvent(_Numbered, kw_only=True, tag="tool_result"):
    """A tool call has ended."""

    execution: ExecutedTool


SessionEvent = (
    QueuedEvent
    | LoadingEvent
    | PrefillEvent
    | OverflowEvent
    | RunStartedEvent
    | RunTurnEvent
    | RunTextEvent
    | RunReasoningEvent
    | RunToolCallEvent
    | RunApprovalEvent
    | RunToolProgressEvent
    | RunToolResultEvent
)


@method("sessions.create", result=Session, errors=("not_found",), idempotent=True, capability="sessions")
class SessionsCreate(Params):
    """Open a session."""

    model: str = "default"
    instructions: str | None = None
    """A system message for every run."""
    servers: list[str] | None = None
    """MCP servers whose tools it has; None: all that mcp.servers lists."""
    tools: list[FunctionTool] = []
    """Tools of the host, executed by host.call_tool."""
    policy: ToolPolicy | None = None
    """None: ask before every call."""
    limits: RunLimits | None = None
    """None: the defaults."""
    conversation: str | None = None
    """A conversation to go on from and to add to."""
    store: bool = True
    """Whether runs are journaled, so that they can be resumed."""
    metadata: Metadata | None = None


@method(
    "sessions.run",
    result=SessionRun,
    events=SessionEvent,
    errors=RUN_ERRORS,
    idempotent=True,
    capability="sessions",
    normalise=partial(normalise_field, name="input"),
)
class SessionsRun(StreamingParams, kw_only=True):
    """Work on input until there is a final message or a limit is met."""

    session_id: str
    input: Input
    tool_choice: RunToolChoice = "auto"
    """For the first turn; later ones are free."""
    allowed_tools: list[str] | None = None
    """Names as sessions.tools gives them; None: all."""
    limits: RunLimits | None = None
    """None: the session's."""
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    """Of one turn."""
    priority: Priority = "normal"


@method("sessions.tools", result=SessionToolList, errors=("not_found",), capability="sessions")
class SessionsTools(Params):
    """Tools that a session has now."""

    session_id: str


@method(
    "sessions.execute_tool",
    result=ExecutedTool,
    errors=("not_found", "permission_denied", "needs_auth", "upstream_failed"),
    idempotent=True,
    cancellable=True,
    capability="sessions",
)
class SessionsExecuteTool(Params):
    """Call one tool under the session's policy, outside of a run."""

    session_id: str
    name: str
    arguments: JsonObject = {}


@method("sessions.close", result=Done, errors=("not_found",), capability="sessions")
class SessionsClose(Params):
    """End a session; its runs end as cancelled."""

    session_id: str


@method("sessions.resume", result=SessionRun, events=SessionEvent, errors=RUN_ERRORS, capability="sessions")
class SessionsResume(StreamingParams, kw_only=True):
    """Go on with an interrupted run, or watch one. No tool call that has ended is made again."""

    run_id: str
    starting_after: int | None = None
    """The last `sequence_number` that was seen; None: from the start."""
