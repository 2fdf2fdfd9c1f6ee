"""Tools that the host runs: `host.call_tool`."""

from typing import Final

import msgspec

from sidecar.errors import Unsupported, UpstreamFailed
from sidecar.openai.tool_run import ToolInvocation, ToolOutcome, ToolRunner
from sidecar.service.context import RequestContext

CALL_TOOL: Final = "host.call_tool"


def host_tools(context: RequestContext) -> ToolRunner | None:
    """Runs calls on behalf of a request, by asking the host it came from; None when that runs no tools."""
    connection = context.connection
    if CALL_TOOL not in connection.capabilities:
        return None

    async def run(call: ToolInvocation) -> ToolOutcome:
        # What hosts may be asked has types of many namespaces, which nothing else at a start needs.
        from sidecar_protocol.host import HostCallTool

        params = HostCallTool(call_id=call.id, name=call.name, arguments=call.arguments)
        answer = await connection.request(CALL_TOOL, msgspec.to_builtins(params), parent=context.request_id)
        return _outcome(call.name, answer)

    return run


def _outcome(name: str, answer: object) -> ToolOutcome:
    from sidecar_protocol.host import ToolOutput
    from sidecar_protocol.responses_items import InputText

    try:
        result = msgspec.convert(answer, ToolOutput)
    except msgspec.ValidationError as error:
        raise UpstreamFailed(f"the host's result of {name} has another shape: {error}") from error
    if isinstance(result.output, str):
        return ToolOutcome(result.output, result.is_error)
    texts = []
    for part in result.output:
        if not isinstance(part, InputText):
            raise Unsupported(f"the result of {name} holds a picture or a file; the model reads text alone")
        texts.append(part.text)
    return ToolOutcome("\n".join(texts), result.is_error)
