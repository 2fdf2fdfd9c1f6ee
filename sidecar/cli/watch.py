"""`sidecar watch`: every message that crosses an engine's transport, decoded, as it happens."""

import argparse
import contextlib
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sidecar.cli.attach import add_engine_arguments, attach_engine
from sidecar.cli.exit_codes import OK
from sidecar.cli.output import json_text, note, out, print_json_line, printable
from sidecar_protocol.engine import FrameEvent
from sidecar_protocol.envelope import Kind

if TYPE_CHECKING:
    from rich.text import Text

REMEMBERED_REQUESTS = 4096

EXAMPLES = """\
examples:
  sidecar watch
  sidecar watch --method chat.create
  sidecar watch --json | jq 'select(.header.k == "err")'

The engine leaves out keys and secrets, and cuts long texts.
"""

_STYLES = {
    Kind.REQUEST: "bold cyan",
    Kind.RESULT: "green",
    Kind.ERROR: "bold red",
    Kind.EVENTS: "blue",
    Kind.CANCEL: "yellow",
    Kind.NOTIFICATION: "magenta",
}


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Its arguments."""
    parser = commands.add_parser(
        "watch",
        help="what an engine and its hosts say to each other",
        description="Show every message of an engine that runs with --socket, until Ctrl-C.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--method", metavar="NAME", help="only messages of this method's requests")
    parser.add_argument("--pings", action="store_true", help="also ping and pong")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, as the engine gives it")
    add_engine_arguments(parser, may_spawn=False)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Show messages until Ctrl-C or the engine's end."""
    rows = Rows(method=arguments.method, pings=arguments.pings)
    console = None if arguments.json else out()
    with attach_engine(arguments) as engine:
        frames = engine.watch()
        note(f"sidecar: watching engine {engine.welcome.boot_id}; Ctrl-C ends")
        # Ctrl-C is how a watch ends.
        with contextlib.suppress(KeyboardInterrupt):
            for frame in frames:
                shown = list(rows.of(frame))
                if console is None:
                    if shown:
                        print_json_line(frame)
                    continue
                for row in shown:
                    console.print(row.text(), no_wrap=True, overflow="ellipsis")
    return OK


@dataclass(frozen=True, slots=True)
class Row:
    """One line: a message, or one event of a message that carries several."""

    time: float
    direction: str
    connection: str
    kind: str
    request_id: int | None
    method: str
    size: str
    content: str

    def text(self) -> "Text":
        """The line, aligned, in colours."""
        from rich.text import Text

        clock = time.strftime("%H:%M:%S", time.localtime(self.time)) + f".{int(self.time % 1 * 1000):03}"
        arrow = "→" if self.direction == "in" else "←"
        style = _STYLES.get(Kind(self.kind), "") if self.kind in list(Kind) else ""
        number = "" if self.request_id is None else str(self.request_id)
        return Text.assemble(
            (clock, "dim"),
            f" {self.connection:<4} {arrow} ",
            (f"{self.kind:<7}", style),
            f" {number:>5} ",
            (f"{self.method:<18}", "bold" if self.kind == Kind.REQUEST else ""),
            (f" {self.size:>7} ", "dim"),
            self.content,
        )


class Rows:
    """Turns frames into rows; remembers which method a request's id stands for."""

    def __init__(self, *, method: str | None = None, pings: bool = False) -> None:
        self._only = method
        self._pings = pings
        self._methods: OrderedDict[tuple[str, str, int], str] = OrderedDict()

    def of(self, frame: FrameEvent) -> Iterator[Row]:
        """The rows of one frame that are wanted."""
        header = frame.header
        kind = str(header.get("k"))
        if kind in (Kind.PING, Kind.PONG) and (not self._pings or self._only is not None):
            return
        if kind == Kind.EVENTS and isinstance(frame.body, list):
            yield from self._events(frame, frame.body)
            return
        number = header.get("id")
        request_id = number if isinstance(number, int) else None
        method = self._method(frame, kind, request_id)
        if self._only is None or method == self._only:
            size = f"{frame.body_bytes} B"
            yield self._row(frame, kind, request_id, method, size, _content(header, frame.body))

    def _events(self, frame: FrameEvent, entries: list[object]) -> Iterator[Row]:
        for entry in entries:
            match entry:
                case [int(request_id), int(sequence), event]:
                    method = self._methods.get((frame.connection, "in", request_id), "")
                    if self._only is None or method == self._only:
                        yield self._row(
                            frame, Kind.EVENTS, request_id, method, f"s{sequence}", _event_content(event)
                        )
                case other if self._only is None:
                    # How many more there were, where the engine has cut a long list.
                    yield self._row(frame, Kind.EVENTS, None, "", "", json_text(other))

    def _method(self, frame: FrameEvent, kind: str, request_id: int | None) -> str:
        named = frame.header.get("m")
        if request_id is None:
            return str(named or "")
        # Both sides number their own requests; an answer goes the other way.
        answers = kind in (Kind.RESULT, Kind.ERROR)
        asked = frame.direction if not answers else {"in": "out", "out": "in"}[frame.direction]
        key = (frame.connection, asked, request_id)
        if kind == Kind.REQUEST:
            self._methods[key] = str(named or "")
            if len(self._methods) > REMEMBERED_REQUESTS:
                self._methods.popitem(last=False)
        return self._methods.get(key, str(named or ""))

    def _row(
        self, frame: FrameEvent, kind: str, request_id: int | None, method: str, size: str, content: str
    ) -> Row:
        return Row(
            time=frame.time,
            direction=frame.direction,
            connection=printable(frame.connection, True),
            kind=kind,
            request_id=request_id,
            method=printable(method, True),
            size=size,
            content=printable(content, True),
        )


def _event_content(event: object) -> str:
    match event:
        case {"type": "chunk", "chunk": {"choices": list(choices), **rest}}:
            # What differs from one chunk to the next.
            said = [_choice_content(choice) for choice in choices]
            usage = f"usage {json_text(rest['usage'])}" if "usage" in rest else ""
            return " ".join(part for part in ("chunk", *said, usage) if part)
        case {"type": str(kind), **rest}:
            return f"{kind} {json_text(rest)}"
        case _:
            return json_text(event)


def _choice_content(choice: object) -> str:
    match choice:
        case {"index": index, "delta": dict(delta), **rest}:
            number = f"{index}:" if index else ""
            added = json_text(delta.get("content", "") if set(delta) <= {"content", "role"} else delta)
            reason = rest.get("finish_reason")
            return f"{number}{added}" + (f" {reason}" if reason else "")
        case _:
            return json_text(choice)


def _content(header: dict[str, object], body: object) -> str:
    extra = {name: value for name, value in header.items() if name not in ("k", "id", "m")}
    parts = [" ".join(f"{name}={value}" for name, value in extra.items())]
    if body not in (None, {}):
        parts.append(json_text(body))
    return " ".join(part for part in parts if part)
