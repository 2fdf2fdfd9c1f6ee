"""host.*: what the engine asks of the host. A host is asked only what it declared in its hello."""

from typing import Annotated, Literal

from sidecar_protocol.base import HostParams, Result, Shared, open_enum
from sidecar_protocol.common import JsonObject
from sidecar_protocol.mcp_types import McpRoot, McpSamplingRequest, McpSamplingResult
from sidecar_protocol.registry import host_request
from sidecar_protocol.responses_items import FunctionOutput

ApprovalReason = Annotated[str, open_enum("policy", "definition_changed", "unfinished")]
"""Why it is asked: the policy says so, the tool has changed, or the call may have run already."""
ApprovalDecision = Literal["allow", "deny"]
"""May it be called."""
ApprovalScope = Literal["once", "session", "always"]
"""How long the decision holds."""
ElicitAction = Literal["accept", "decline", "cancel"]
"""What the person did: answered, said no, or turned away."""
SamplingStage = Annotated[str, open_enum("request", "answer")]
"""Before the model is asked, or before the server gets its answer."""
UrlPurpose = Annotated[str, open_enum("authorization", "elicitation")]
"""What an address is opened for."""
SecretAction = Literal["get", "set", "delete"]
"""What to do with a secret."""


class ToolOutput(Result):
    """What a tool of the host gave back."""

    output: FunctionOutput
    is_error: bool = False
    """The tool failed, and `output` says why: the model is told, the run goes on."""


class ToolApproval(Result):
    """Whether a tool may be called."""

    decision: ApprovalDecision
    scope: ApprovalScope = "once"
    reason: str | None = None
    """Told to the model when it may not."""


class FormElicitation(Shared, rename="camel", tag_field="mode", tag="form"):
    """Ask for values."""

    message: str
    requested_schema: JsonObject
    """JSON Schema of an object without nesting."""


class UrlElicitation(Shared, rename="camel", tag_field="mode", tag="url"):
    """Ask to visit a page, for what must not pass through here."""

    message: str
    url: str
    elicitation_id: str | None = None


Elicitation = FormElicitation | UrlElicitation


class ElicitationAnswer(Result):
    """What the person did."""

    action: ElicitAction
    content: JsonObject | None = None
    """The values, where a form was accepted."""


class RootList(Result):
    """Folders and files that a server may work on."""

    roots: list[McpRoot]


class SamplingReview(Result):
    """Whether a server's wish for the model is granted."""

    approved: bool
    request: McpSamplingRequest | None = None
    """Ask the model this instead."""
    answer: McpSamplingResult | None = None
    """Give the server this instead."""
    reason: str | None = None


class UrlOpened(Result):
    """Whether the browser was opened."""

    opened: bool
    redirect: str | None = None
    """The address that the sign-in led back to, where the application caught it itself."""


class SecretAnswer(Result):
    """A secret that was asked for."""

    value: str | None = None
    """None: there is none, or none was asked for."""


@host_request("host.call_tool", result=ToolOutput)
class HostCallTool(HostParams):
    """Execute a tool of the host."""

    call_id: str
    """The same after a resume: a host that remembers it need not do the work twice."""
    name: str
    arguments: JsonObject
    session_id: str | None = None
    run_id: str | None = None


@host_request("host.approve_tool", result=ToolApproval)
class HostApproveTool(HostParams, kw_only=True):
    """May this tool be called? Asked until somebody answers; a cancelled run asks again after a resume."""

    call_id: str
    name: str
    server: str | None = None
    """None: a tool of the host."""
    description: str | None = None
    arguments: JsonObject
    reason: ApprovalReason
    session_id: str | None = None
    run_id: str | None = None


@host_request("host.elicit", result=ElicitationAnswer)
class HostElicit(HostParams):
    """A server wants something from the person."""

    server: str
    elicitation: Elicitation


@host_request("host.list_roots", result=RootList)
class HostListRoots(HostParams):
    """Which folders and files may this server work on?"""

    server: str


@host_request("host.review_sampling", result=SamplingReview)
class HostReviewSampling(HostParams):
    """A server wants to use the model. Asked before the model is, and again with its answer."""

    server: str
    stage: SamplingStage
    request: McpSamplingRequest
    answer: McpSamplingResult | None = None
    """At stage "answer"."""


@host_request("host.open_url", result=UrlOpened)
class HostOpenUrl(HostParams):
    """Open an address in the person's browser."""

    url: str
    purpose: UrlPurpose
    server: str | None = None


@host_request("host.secret", result=SecretAnswer)
class HostSecret(HostParams):
    """Keep a secret in the application's keychain, give it back, or forget it."""

    action: SecretAction
    name: str
    value: str | None = None
    """For action "set"."""
