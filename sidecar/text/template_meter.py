"""What one rendering of a chat template may cost: characters made, steps taken, time.

Templates come from model files. Everything a template makes is charged when it
is made, or before, where its size can be told from its parts; so a template
ends within its budget however it tries to grow, and memory stays in
proportion to the budget.
"""

import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sized
from contextvars import ContextVar

from sidecar.errors import InvalidParams

MAX_INPUT_CHARACTERS = 4 * 2**20
MAX_VALUE_CHARACTERS = 8 * 2**20
"""Of any one value, written out."""
BASE_BUDGET = 32 * 2**20
BUDGET_PER_INPUT_CHARACTER = 32
DEADLINE_SECONDS = 5.0

_STEP_COST = 16
_ELEMENT_COST = 64
_PARTS_AT_ONCE = 256
_MAX_INTEGER_BITS = 8192
_PRINTF = re.compile(r"%(?:\([^)]*\))?[#0\- +]*(\*|\d+)?(?:\.(\*|\d+))?")
_DIGITS = re.compile(r"\d+")


def beyond_limit(problem: str) -> InvalidParams:
    """The error for a template that goes beyond what one rendering may cost."""
    return InvalidParams(f"the model's chat template {problem}", parameter="messages")


class Meter:
    """The budget of one rendering. Every method raises InvalidParams when it is used up."""

    def __init__(self, input_characters: int, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self._left = BASE_BUDGET + BUDGET_PER_INPUT_CHARACTER * input_characters
        self._deadline = time.monotonic() + deadline_seconds

    def spend(self, cost: int) -> None:
        """Pay for something, before it is made where possible."""
        self._left -= cost
        if self._left < 0:
            raise beyond_limit("does more work than a prompt can need")
        if time.monotonic() > self._deadline:
            raise beyond_limit("takes too long")

    def step(self) -> None:
        """One call or one turn of a loop."""
        self.spend(_STEP_COST)

    def predict(self, characters: int) -> None:
        """Refuse a value that would be too long, before it is made."""
        if characters > MAX_VALUE_CHARACTERS:
            raise beyond_limit(f"makes a value of more than {MAX_VALUE_CHARACTERS} characters")

    def made(self, value: object) -> None:
        """Pay for a value that was just made; its parts were paid for when they were."""
        if isinstance(value, str):
            self.predict(len(value))
            self.spend(len(value))
        elif isinstance(value, int):
            self.spend(value.bit_length() // 8)
        elif isinstance(value, Sized):
            self.spend(_ELEMENT_COST * len(value))

    def written(self, value: object) -> int:
        """About how many characters a value is when written out, shared parts as often as they occur."""
        pending: list[object] = [value]
        total = parts = 0
        while pending:
            part = pending.pop()
            parts += 1
            if parts % _PARTS_AT_ONCE == 0:
                self.spend(_PARTS_AT_ONCE * _STEP_COST)
            if isinstance(part, str):
                total += len(part)
            elif isinstance(part, int):
                total += 1 + part.bit_length() // 3
            elif isinstance(part, Mapping):
                total += 4 * len(part)
                pending.extend(part.keys())
                pending.extend(part.values())
            elif isinstance(part, Collection):
                total += 2 * len(part)
                pending.extend(part)
            else:
                total += 32
            self.predict(total)
        self.spend(parts % _PARTS_AT_ONCE)
        return total

    def iterate(self, values: Iterable[object]) -> Iterator[object]:
        """The values, each a step."""
        for value in values:
            self.step()
            yield value

    def multiplication(self, left: object, right: object) -> None:
        """Before `left * right`."""
        for times, value in ((left, right), (right, left)):
            if isinstance(times, int) and isinstance(value, str | list | tuple):
                self.predict(self.written(value) * times)
        if isinstance(left, int) and isinstance(right, int):
            self.integer(left.bit_length() + right.bit_length())

    def power(self, left: object, right: object) -> None:
        """Before `left ** right`."""
        if isinstance(left, int) and isinstance(right, int):
            self.integer(left.bit_length() * abs(right))

    def integer(self, bits: int) -> None:
        """Before an integer of that many bits is made."""
        if bits > _MAX_INTEGER_BITS:
            raise beyond_limit(f"makes an integer of more than {_MAX_INTEGER_BITS} bits")

    def printf(self, template: str, values: object) -> None:
        """Before `template % values`."""
        widths = [width for match in _PRINTF.findall(template) for width in match if width]
        if "*" in widths:
            raise beyond_limit("formats with a width of its arguments")
        fields = template.count("%") if isinstance(values, Mapping) else 1
        self.predict(len(template) + sum(map(int, widths)) + fields * self.written(values))

    def format_field(self, value: object, specification: str) -> None:
        """Before `format(value, specification)`."""
        widths = _DIGITS.findall(specification)
        self.predict(self.written(value) + sum(int(width[:9]) for width in widths))

    def replacement(self, text: str, old: object = "", new: object = "") -> None:
        """Before `text.replace(old, new)`."""
        if isinstance(old, str) and isinstance(new, str):
            self.predict(len(text) + text.count(old) * max(0, len(new) - len(old)))


CURRENT_METER: ContextVar[Meter] = ContextVar("sidecar_template_meter")
