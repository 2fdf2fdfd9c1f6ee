"""The TypeScript that is written from the schema."""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest

from sidecar_generator.emit.typescript import CLIENT, emit
from sidecar_generator.emit.typescript.text import WIDTH, camel, commented, imported, union
from sidecar_generator.extract import Extractor, extract
from sidecar_generator.schema import Method, Namespace, Schema, TaggedUnion, Variant
from sidecar_protocol.base import Event, Params, Result, needs, open_enum

ROOT = Path(__file__).parents[2]

Mood = Annotated[str, open_enum("good", "bad")]
"""How it feels."""
Size = Literal["small", "large"]
"""How big it is."""
Spot = str | list[int]
"""Where it is."""


class Ask(Params, kw_only=True):
    """Ask for a thing."""

    stream: bool = False
    spot: Spot
    size: Size = "small"
    """None is not allowed."""
    count: int | None = None
    weights: list[float | None] = msgspec.field(default_factory=list)
    extra: Annotated[dict[str, object], needs("tools")] = msgspec.field(default_factory=dict)


class Thing(Result, kw_only=True):
    """A thing."""

    mood: Mood
    data: bytes | None = None
    place: Spot | None = None


class Step(Event, tag="step"):
    """Something happened."""

    kind: Literal["one"]


class Nothing(Params):
    """No params."""


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    extractor = Extractor()
    for struct in (Ask, Thing, Step, Nothing):
        extractor.struct(struct)
    types: dict[str, Any] = dict(extractor.types)
    module = types["Ask"].module
    variants = [Variant(tag="step", type="Step")]
    types["ThingEvent"] = TaggedUnion(name="ThingEvent", module=module, tag_field="type", variants=variants)
    facts: dict[str, Any] = {"direction": "host_to_engine", "since": 1}
    methods = [
        Method(
            name="things.create", doc="Make it.", params="Ask", result="Thing", events="ThingEvent", **facts
        ),
        Method(
            name="things.look_at", doc="See it.", params="Nothing", result="Thing", events="Step", **facts
        ),
    ]
    schema = Schema(
        protocol=1,
        namespaces=[Namespace(name="things", doc="all of them.")],
        methods=methods,
        host_requests=[],
        notifications=[],
        capabilities=[],
        errors=[],
        common_errors=[],
        limits={},
        message_kinds=[],
        messages=[],
        types=types,
    )
    return {path.removeprefix(f"{CLIENT}/"): text for path, text in emit(schema).items()}


@pytest.fixture
def types(files: dict[str, str]) -> str:
    (text,) = (text for path, text in files.items() if "interface Ask" in text)
    return text


def test_params_lose_stream_and_may_be_null(types: str) -> None:
    assert (
        """\
/** Ask for a thing. */
export interface Ask {
  spot: Spot;
  /** null is not allowed. Default: "small". */
  size?: Size;
  count?: number | null;
  weights?: (number | null)[];
  /** Needs the capability `tools`. */
  extra?: Record<string, unknown>;
}
"""
        in types
    )


def test_results_leave_out_what_is_null(types: str) -> None:
    assert (
        """\
/** A thing. */
export interface Thing {
  mood: Mood;
  data?: Uint8Array;
  place?: Spot;
}
"""
        in types
    )


def test_enums_and_unions(types: str) -> None:
    assert 'export type Mood = OpenEnum<"good" | "bad">;' in types
    assert 'export type Size = "small" | "large";' in types
    assert "export type Spot = string | number[];" in types
    assert "export type Nothing = Record<string, never>;" in types
    assert 'export interface Step {\n  type: "step";\n  kind: "one";\n}' in types
    assert "export type ThingEvent = Step | UnknownEvent;" in types
    assert 'import type { OpenEnum, UnknownEvent } from "./open-enum.js";' in types


def test_methods_by_name(files: dict[str, str]) -> None:
    text = files["types/methods.ts"]
    assert '"things.create": { params: Ask; result: Thing; event: ThingEvent };' in text
    assert '"things.look_at": { params: Nothing; result: Thing; event: Step | UnknownEvent };' in text
    assert '"things.look_at": ["step"],' in text


def test_a_call_and_a_stream_for_each(files: dict[str, str]) -> None:
    text = files["namespaces.ts"]
    assert "  create(params: Ask, options?: CallOptions): Promise<Thing> {" in text
    assert "  stream(params: Ask, options?: StreamingOptions): Stream<ThingEvent, Thing> {" in text
    assert "  lookAt(options?: CallOptions): Promise<Thing> {" in text
    assert '    return call(this.#caller, "things.look_at", {}, options);' in text
    assert "  lookAtStream(options?: StreamingOptions): Stream<Step | UnknownEvent, Thing> {" in text
    assert "  readonly things: Things = new Things(this);" in text


def test_nothing_else_lies_among_the_generated_types() -> None:
    generated = {path for path in emit(extract()) if "/types/" in path}
    committed = {path.relative_to(ROOT).as_posix() for path in (ROOT / CLIENT / "types").iterdir()}
    assert committed - generated == {f"{CLIENT}/types/open-enum.ts"}


def test_lines_fit() -> None:
    for path, text in emit(extract()).items():
        for number, line in enumerate(text.splitlines(), 1):
            assert len(line) <= WIDTH, f"{path}:{number}"


def test_long_lines_are_broken_as_prettier_breaks_them() -> None:
    arms = ["Alpha" * 6, "Beta" * 6, "Gamma" * 6]
    assert union("type A =", ["B", "C"], ";") == "type A = B | C;"
    assert union("type " + "A" * 30 + " =", arms, ";").splitlines()[1] == f"  {' | '.join(arms)};"
    assert union("type A =", [*arms, "Delta" * 6], ";").splitlines()[1] == f"  | {arms[0]}"
    assert imported(["B"], "./b.js") == 'import type { B } from "./b.js";'
    assert imported(arms, "./" + "b" * 30).splitlines()[1] == f"  {arms[0]},"


def test_comments() -> None:
    assert commented("") == ""
    assert commented("None at all.", 2) == "  /** null at all. */\n"
    long = commented("word " * 40)
    assert long.startswith("/**\n * word")
    assert commented("One.\n\nTwo.") == "/**\n * One.\n *\n * Two.\n */\n"
    assert camel("add_server") == "addServer"
