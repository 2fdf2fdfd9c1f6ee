"""One choice of an answer while it is written: text in, OpenAI deltas out, the whole message at any time."""

import secrets
import string
from collections.abc import Callable
from typing import Final

from sidecar.openai.toolcalls.base import CallArguments, CallEnd, CallStart, ParsedPiece, ToolCallParser
from sidecar_protocol.chat import AssistantReply, ChatDelta, ChatFunctionCallDelta, ChatToolCallDelta
from sidecar_protocol.chat_messages import ChatFunctionCall, ChatToolCall

CALL_ID_CHARACTERS: Final = 9
"""Letters and digits, as many as Mistral's templates insist on; others take any id."""

ParserMaker = Callable[[], ToolCallParser]


class Answer:
    """Collects text and calls. Until `read_calls` everything is text."""

    def __init__(self) -> None:
        self.calls: list[ChatToolCall] = []
        self.is_over = False
        """Whether what still comes no longer counts."""
        self.stopped_at_call = False
        """Whether that is because no further call was wanted."""
        self._make_parser: ParserMaker | None = None
        self._parser: ToolCallParser | None = None
        self._several_calls = True
        self._texts: list[str] = []
        self._written: list[str] = []

    def read_calls(self, make_parser: ParserMaker, *, several: bool) -> None:
        """Tell calls from text from now on; without `several` the answer is over behind its first call."""
        self._make_parser = make_parser
        self._parser = make_parser()
        self._several_calls = several

    def take(self, text: str, *, ends: bool) -> list[ChatDelta]:
        """More text, and whether it is the last; gives what it adds to the message."""
        pieces: list[ParsedPiece] = [text] if text else []
        if self._parser is not None:
            self._written.append(text)
            pieces = self._parser.feed(text)
            if ends:
                pieces += self._parser.finish()
        deltas: list[ChatDelta] = []
        for piece in pieces:
            if self.is_over:
                break
            self._take_piece(piece, deltas)
        self.is_over = self.is_over or ends
        return deltas

    def message(self) -> AssistantReply:
        """What there is of the message. Before the end, what may become a call is text of it."""
        text = "".join(self._texts)
        if self._make_parser is not None and not self.is_over:
            parser = self._make_parser()
            pieces = [*parser.feed("".join(self._written)), *parser.finish()]
            text = "".join(piece for piece in pieces if isinstance(piece, str))
        return AssistantReply(
            role="assistant",
            content=None if self.calls and not text else text,
            tool_calls=list(self.calls) or None,
        )

    def _take_piece(self, piece: ParsedPiece, deltas: list[ChatDelta]) -> None:
        match piece:
            case str():
                self._texts.append(piece)
                deltas.append(ChatDelta(content=piece))
            case CallStart(index, name):
                call = ChatToolCall(id=_call_id(), function=ChatFunctionCall(name=name, arguments=""))
                self.calls.append(call)
                function = ChatFunctionCallDelta(name=name, arguments="")
                delta = ChatToolCallDelta(index=index, id=call.id, type="function", function=function)
                deltas.append(ChatDelta(tool_calls=[delta]))
            case CallArguments(index, text):
                self.calls[index].function.arguments += text
                self._add_arguments(index, text, deltas)
            case CallEnd():
                self.is_over = self.stopped_at_call = not self._several_calls

    def _add_arguments(self, index: int, text: str, deltas: list[ChatDelta]) -> None:
        """To the delta that begins the call, when it goes out together with it."""
        last = deltas[-1].tool_calls if deltas else None
        if last and last[0].index == index and last[0].function is not None:
            last[0].function.arguments = (last[0].function.arguments or "") + text
        else:
            function = ChatFunctionCallDelta(arguments=text)
            deltas.append(ChatDelta(tool_calls=[ChatToolCallDelta(index=index, function=function)]))


def _call_id() -> str:
    alphabet = string.ascii_letters + string.digits
    return "".join(secrets.choice(alphabet) for _ in range(CALL_ID_CHARACTERS))
