"""A completion of one or more model answers, with tools run between them.

Model answer, calls, results, next answer … until one without calls, or a limit.
It does not know who runs a tool, nor where the model runs: the ToolRunner and
the ChatBackend it is given do.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from sidecar.errors import InvalidParams, Unsupported
from sidecar.generation import GenerationTimings, GenerationUsage
from sidecar.openai.backend import ChatBackend
from sidecar.openai.chat_turn import ChatEventSink, ChatIdentity, ChatTurn, to_timings, to_usage
from sidecar.openai.tool_choice import ToolOffer, after_tools, tool_offer
from sidecar.openai.tool_run import ToolEnd, ToolRun, ToolRunner
from sidecar_protocol.chat import ChatCompletion, ChatCreate, ToolReply, ToolResultEvent, ToolRound
from sidecar_protocol.chat_messages import AssistantMessage, ChatToolCall, ToolMessage

MAX_TOOL_ROUNDS: Final = 100


class TurnLoop:
    """One completion. `run` makes it; `completion` says at any time what there is of it.

    `run_tool` runs calls for requests with `tool_execution: host`; without one
    they are Unsupported.
    """

    def __init__(
        self,
        backend: ChatBackend,
        request: ChatCreate,
        sink: ChatEventSink | None = None,
        run_tool: ToolRunner | None = None,
    ) -> None:
        self.unfinished_tools: list[ChatToolCall] = []
        """After a cancel: calls whose tools had not ended by then."""
        self._backend = backend
        self._request = request
        self._sink = sink
        self._run_tool = run_tool
        self._identity = ChatIdentity(request.model)
        self._rounds: list[ToolRound] = []
        self._usage = GenerationUsage(0, 0)
        self._timings = GenerationTimings()
        self._turn = ChatTurn(request, sink, identity=self._identity)

    async def run(self) -> None:
        """Answer, run tools, answer again. Raises the errors of `sidecar.errors`.

        An answer that breaks the request's tool_choice raises Unsupported with
        the completion in `data.partial`: it takes grammars to hold a model to it.
        """
        request = self._request
        self._check()
        while True:
            offer = tool_offer(request)
            await self._backend.run(request, self._turn)
            message = self._turn.completion().choices[0].message
            calls = self._calls_to_run()
            self._check_answer(offer, runs=bool(calls))
            if offer is None or not calls or len(self._rounds) == self._request.max_tool_rounds:
                break
            replies = await self._run_calls(offer, calls)
            self._rounds.append(ToolRound(message=message, replies=replies))
            request = after_tools(request)
            request = msgspec.structs.replace(
                request,
                messages=[
                    *request.messages,
                    AssistantMessage(content=message.content, tool_calls=calls),
                    *(
                        ToolMessage(content=reply.content, tool_call_id=reply.tool_call_id)
                        for reply in replies
                    ),
                ],
            )
            self._next_turn()
        if self._request.stream_options is not None and self._request.stream_options.include_usage:
            self._turn.tell_usage(self._total_usage())

    def completion(self) -> ChatCompletion:
        """The whole completion, or what there is of it so far."""
        completion = self._turn.completion()
        completion.usage = to_usage(self._total_usage())
        completion.timings = to_timings(self._total_timings())
        completion.tool_rounds = list(self._rounds)
        return completion

    def _check(self) -> None:
        request = self._request
        tool_offer(request)
        for name, high in (("max_tool_rounds", MAX_TOOL_ROUNDS), ("max_tool_result_characters", 2**24)):
            value = getattr(request, name)
            if not 1 <= value <= high:
                raise InvalidParams(
                    f"params.{name} is {value}; it must be from 1 to {high}", parameter=f"params.{name}"
                )
        if request.tool_execution != "host":
            return
        if request.n > 1:
            raise InvalidParams("params.n must be 1 with tool_execution 'host'", parameter="params.n")
        if self._run_tool is None:
            raise Unsupported(
                "params.tool_execution is 'host', but the host did not declare host.call_tool in its hello"
            )

    def _calls_to_run(self) -> list[ChatToolCall]:
        choice = self._turn.completion().choices[0]
        runs = self._request.tool_execution == "host" and choice.finish_reason == "tool_calls"
        return choice.message.tool_calls or [] if runs else []

    def _check_answer(self, offer: ToolOffer | None, *, runs: bool) -> None:
        """Calls that are run are checked one by one, and the model hears of it; others have to be right."""
        if offer is None or runs:
            return
        for choice in self._turn.completion().choices:
            called = [call.function.name for call in choice.message.tool_calls or ()]
            broken = offer.broken_by(called) if choice.finish_reason != "length" else None
            if broken is not None:
                raise Unsupported(
                    f"params.tool_choice could not be kept: the model {broken}; "
                    "try again, use another model, or tool_choice 'auto'",
                    data={
                        "parameter": "params.tool_choice",
                        "partial": msgspec.to_builtins(self.completion()),
                    },
                )

    async def _run_calls(self, offer: ToolOffer, calls: Sequence[ChatToolCall]) -> list[ToolReply]:
        assert self._run_tool is not None
        running = ToolRun(self._run_tool, offer, self._request.max_tool_result_characters, self._tell_end)
        try:
            return await running.run(calls)
        finally:
            self.unfinished_tools = running.unfinished

    def _tell_end(self, end: ToolEnd) -> None:
        self._turn.tell(
            ToolResultEvent(
                tool_round=len(self._rounds),
                tool_call_id=end.call.id,
                name=end.call.function.name,
                is_error=end.is_error,
                cut_characters=end.cut_characters,
            )
        )

    def _next_turn(self) -> None:
        self._usage = self._total_usage()
        self._timings = self._total_timings()
        self._turn = ChatTurn(
            self._request, self._sink, identity=self._identity, tool_round=len(self._rounds)
        )

    def _total_usage(self) -> GenerationUsage:
        before, now = self._usage, self._turn.usage
        return GenerationUsage(
            before.prompt_tokens + now.prompt_tokens,
            before.completion_tokens + now.completion_tokens,
            before.cached_tokens + now.cached_tokens,
        )

    def _total_timings(self) -> GenerationTimings:
        before, now = self._timings, self._turn.timings
        return GenerationTimings(
            before.queued + now.queued, before.prefill + now.prefill, before.decode + now.decode
        )
