"""One request that a driver makes, and what is said of it."""

import itertools
from typing import Any, NoReturn

from tests.clients.runner.process import DEADLINE_SECONDS, DriverProcess, Said

Fields = dict[str, Any]


class Request:
    """A call or a stream; what was said of it so far, and what is still to come."""

    def __init__(self, driver: DriverProcess, name: str) -> None:
        self.said: list[Said] = []
        self.has_left = False
        self._driver = driver
        self._name = name

    @property
    def events(self) -> list[Any]:
        """Events that have come."""
        return [said["value"] for said in self.said if said.word == "event"]

    @property
    def times(self) -> list[float]:
        """When they came, in monotonic seconds."""
        return [said.at for said in self.said if said.word == "event"]

    @property
    def text(self) -> str:
        """The text of the first choice's events."""
        return "".join(_text(event) for event in self.events)

    @property
    def ended(self) -> Said | None:
        """Its result or error, once it is there."""
        return self.said[-1] if self.said and self.said[-1].word != "event" else None

    async def event(self, number: int) -> Any:
        """The event with this number, from 0."""

        def find() -> Any:
            if self.ended is not None and len(self.events) <= number:
                self._complain(f"event {number}")
            return self.events[number] if len(self.events) > number else None

        return await self._driver.wait_for(find, f"event {number} of {self._name}")

    async def first(self, kind: str) -> Any:
        """The first event of this type."""
        for number in itertools.count():
            event = await self.event(number)
            if event["type"] == kind:
                return event
        raise AssertionError

    async def end(self, seconds: float = DEADLINE_SECONDS) -> Said:
        """Its result or error."""
        return await self._driver.wait_for(lambda: self.ended, f"end of {self._name}", seconds)

    async def result(self) -> Any:
        """The value it ended with."""
        end = await self.end()
        if end.word != "result":
            self._complain("a result")
        return end["value"]

    async def error(self, code: str, seconds: float = DEADLINE_SECONDS) -> Fields:
        """The error it ended with, which must have this code and be of its class."""
        end = await self.end(seconds)
        if end.word != "error":
            self._complain("an error")
        error: Fields = end["error"]
        assert error["code"] == code, error
        assert error["class"] == class_of(code), error
        return error

    def read(self, count: int | str = "all") -> None:
        """Go on reading."""
        self._driver.tell(do="read", request=self._name, count=count)

    def cancel(self) -> None:
        """Leave it, in the way of the language."""
        self._driver.tell(do="cancel", request=self._name)

    async def leave(self) -> None:
        """Leave it, and wait until the client has let go. Nothing may be said of it afterwards."""
        self.cancel()
        await self.left()

    async def left(self) -> None:
        """The client has let go of what was cancelled."""
        await self._driver.wait_for(lambda: self.has_left or None, f"leaving of {self._name}")

    def take(self, said: Said) -> None:
        """A line about this request. Raises AssertionError for one that must not come."""
        assert not self.has_left, f"{said} was said after {self._name} was left"
        if said.word == "left":
            self.has_left = True
            return
        assert self.ended is None, f"{said} was said after the end of {self._name}"
        assert said.word != "event" or said["index"] == len(self.events), f"{said} is out of turn"
        self.said.append(said)

    def _complain(self, wanted: str) -> NoReturn:
        raise AssertionError(f"{self._name}: instead of {wanted} came {self.ended}\n{self._driver.report()}")


def class_of(code: str) -> str:
    """The class that every client has for a code."""
    return "".join(word.capitalize() for word in code.split("_"))


def _text(event: Fields) -> str:
    if event["type"] != "chunk":
        return ""
    if "chunk" not in event:
        text: str = event["text"] if event["choice"] == 0 else ""
        return text
    choices = event["chunk"]["choices"]
    return "".join(choice["delta"].get("content") or "" for choice in choices if choice["index"] == 0)
