"""Calls are found in every form, nothing else is, and nothing is lost, however the answer is cut."""

import json
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.openai.toolcalls.base import CallArguments, CallEnd, CallStart
from sidecar.openai.toolcalls.choice import parser_for_template
from sidecar.openai.toolcalls.json_calls import JsonToolCallParser
from tests.openai.toolcalls.answers import Parsed, parse

NAMES = ("add", "get_weather")
ADD = '{"name": "add", "arguments": {"a": 1}}'
WEATHER = '{"name": "get_weather", "arguments": {"city": "Bern"}}'
CALLED_ADD = ("add", '{"a": 1}')
CALLED_WEATHER = ("get_weather", '{"city": "Bern"}')


def read(answer: str) -> Parsed:
    return parse(JsonToolCallParser(NAMES), [answer])


@pytest.mark.parametrize(
    ("answer", "text", "calls"),
    [
        (f"<tool_call>\n{ADD}\n</tool_call>", "", [CALLED_ADD]),
        (f"<tool_call>{ADD}", "", [CALLED_ADD]),
        (f"<tool_call>[{ADD}, {WEATHER}]</tool_call>", "", [CALLED_ADD, CALLED_WEATHER]),
        (f"<tool_call>\n{ADD}\n{WEATHER}\n</tool_call>", "", [CALLED_ADD, CALLED_WEATHER]),
        (
            f"<tool_call>{ADD}</tool_call>\n<tool_call>{WEATHER}</tool_call>\n",
            "",
            [CALLED_ADD, CALLED_WEATHER],
        ),
        (ADD, "", [CALLED_ADD]),
        (f"  {ADD}\n{WEATHER}", "", [CALLED_ADD, CALLED_WEATHER]),
        (f"[{ADD},\n {WEATHER}]", "", [CALLED_ADD, CALLED_WEATHER]),
        (f"```json\n{ADD}\n```", "", [CALLED_ADD]),
        (f"```\n[{ADD}]\n```\n", "", [CALLED_ADD]),
        (f"``` tool_call\r\n{ADD}\n{WEATHER}```", "", [CALLED_ADD, CALLED_WEATHER]),
        ('{"name": "add", "parameters": {"a": 1}}', "", [CALLED_ADD]),
        ('{"type": "function", "name": "add", "parameters": {"a": 1}}', "", [CALLED_ADD]),
        (
            '{"id": "x", "type": "function", "function": {"name": "add", "arguments": "{\\"a\\": 1}"}}',
            "",
            [CALLED_ADD],
        ),
        ('{"function": "add", "arguments": {"a": 1}}', "", [CALLED_ADD]),
        ('{"arguments": {"a": 1}, "name": "add"}', "", [CALLED_ADD]),
        ('{"name": "add", "arguments": null}', "", [("add", "{}")]),
        ('{"name": "add", "arguments": " "}', "", [("add", "{}")]),
        ('<tool_call>{"name": "add"}</tool_call>', "", [("add", "{}")]),
        ('<tool_call>{"name": "unknown", "arguments": [1]}</tool_call>', "", [("unknown", "[1]")]),
        ('{"name": "add", "arguments": "not JSON"}', "", [("add", "not JSON")]),
        (
            '{"name": "add", "arguments": {"a": "x\ny", "b": "\\ud800"}}',
            "",
            [("add", '{"a": "x\\ny", "b": "\\ud800"}')],
        ),
        (f"Let me see.\n\n{ADD}", "Let me see.", [CALLED_ADD]),
        (f"One.\n <tool_call>{ADD}</tool_call>\n\n Two. ", "One.\n Two. ", [CALLED_ADD]),
        (f"One.<tool_call>{ADD}</tool_call>Two.", "One.\nTwo.", [CALLED_ADD]),
        (f"\n\n{ADD}Done", "Done", [CALLED_ADD]),
    ],
)
def test_a_call_is_found(answer: str, text: str, calls: list[tuple[str, str]]) -> None:
    assert read(answer) == Parsed(text, calls)


@pytest.mark.parametrize(
    "answer",
    [
        "Hello, world.\n",
        "  spaces stay  \n\n",
        '{"city": "Bern"}',
        '{"name": "Ada", "arguments": {}}',
        '{"name": "add"}',
        '{"name": "add", "age": 3}',
        '{"name": "add", "function": "add", "arguments": {}}',
        '{"name": "add", "arguments": {}, "parameters": {}}',
        '{"type": "object", "name": "add", "arguments": {}}',
        '{"type": "function", "function": {"function": {"name": "add", "arguments": {}}}}',
        f"inline {ADD}",
        f"[{ADD}, 3]",
        "[1, 2, 3]\n[link](there)\n[]\n{}",
        "<tool_call>add(1, 2)</tool_call>",
        '<tool_call>{"name": "add", "arguments": {"a": 1}</tool_call>',
        '<tool_call>{"name": "add", "arguments": {"a": NaN}}</tool_call>',
        '<tool_call>{"name": "add", "arguments": {"a": 1e999}}</tool_call>',
        '<tool_call>{"name": "add", "arguments": {"a": 01}}</tool_call>',
        '<tool_call>{"name": "a b", "arguments": {}}</tool_call>',
        '<tool_call>{"name": "add", "arguments": "\\ud800"}</tool_call>',
        f'<tool_call>{{"name": "add", "arguments": {{"a": {"9" * 5000}}}}}</tool_call>',
        f'<tool_call>{{"name": "add", "arguments": {"[" * 200}',
        '{"name": "add", "arguments": {"a": "never closed',
        "```json\n{",
        "``` \n```python\nprint({})\n```",
        "a < b, `code`, <tool_cal",
    ],
)
def test_what_is_no_call_stays_as_it_is_written(answer: str) -> None:
    assert read(answer) == Parsed(answer, [])


def test_a_malformed_call_does_not_hide_the_next_one() -> None:
    broken = '<tool_call>{"name": "add", "arguments": oops}</tool_call>\n'
    assert read(f"{broken}<tool_call>{ADD}</tool_call>") == Parsed(broken.rstrip(), [CALLED_ADD])
    assert read(f"<tool_call><tool_call>{ADD}") == Parsed("<tool_call>", [CALLED_ADD])
    assert read(f'{{"name" 1\n{ADD}') == Parsed('{"name" 1', [CALLED_ADD])


@pytest.mark.parametrize(
    ("pieces", "held"),
    [
        (["Hello"], ""),
        (["a <b"], ""),
        (["x < "], ""),
        (["```python\n"], ""),
        (['{"city'], '{"city'),
        (['{"city"'], ""),
        (["[1"], ""),
        (["see <tool_"], "<tool_"),
        (["<tool_call>", "  \n"], "<tool_call>  \n"),
        (["<tool_call>", " x"], ""),
        (["``"], "``"),
        (['{"name": "add", "arguments": {"a"', ": 1"], '{"name": "add", "arguments": {"a": 1'),
        (['{"name": "add", "arguments": {"a"', " 1"], ""),
    ],
)
def test_text_passes_at_once_unless_it_may_begin_a_call(pieces: list[str], held: str) -> None:
    parser = JsonToolCallParser(NAMES)
    shown = Parsed()
    for piece in pieces:
        shown.take(parser.feed(piece))
    whole = "".join(pieces)
    assert shown.text.strip() == whole.removesuffix(held).strip()


def test_a_call_is_told_as_soon_as_it_is_whole() -> None:
    parser = JsonToolCallParser(NAMES)
    assert parser.feed(f"<tool_call>{ADD[:-1]}") == []
    assert parser.feed("}") == [CallStart(0, "add"), CallArguments(0, '{"a": 1}'), CallEnd(0)]


FRAGMENTS = st.sampled_from(
    [
        ADD, WEATHER, "<tool_call>", "</tool_call>", "```json\n", "```", "```\n", "\n", " ", "{", "}", "[",
        "]", '"name"', '"arguments"', ":", ",", '"', "\\", "<", "`", "text", '{"name": "add", ',
        '{"city"', "1", "é🙂", "\r\n", "\t",
    ]
)  # fmt: skip


@st.composite
def cut_answers(draw: st.DrawFn) -> list[str]:
    answer = "".join(draw(st.lists(FRAGMENTS, max_size=24)))
    cuts = sorted(draw(st.lists(st.integers(0, len(answer)), max_size=12)))
    return [answer[start:end] for start, end in zip([0, *cuts], [*cuts, len(answer)], strict=True)]


@given(cut_answers())
@example(["```json", "\n", "{", '"name": "add", ', '"arguments": {}}', "`", "``"])
@example(['{"city": ', f"\n{ADD}", "}"])
def test_the_same_comes_out_however_the_answer_is_cut(pieces: list[str]) -> None:
    whole = "".join(pieces)
    expected = read(whole)
    assert parse(JsonToolCallParser(NAMES), pieces) == expected
    assert parse(JsonToolCallParser(NAMES), list(whole)) == expected


@given(cut_answers())
def test_no_text_is_lost(pieces: list[str]) -> None:
    whole = "".join(pieces)
    parsed = read(whole)
    if not parsed.calls:
        assert parsed.text == whole
        return
    # What is shown stands in the answer in this order, but for the line's end that may part two texts.
    rest = iter("".join(whole.split()))
    assert all(character in rest for character in "".join(parsed.text.split()))
    missing = len("".join(whole.split())) - len("".join(parsed.text.split()))
    forms = 2 * len("<tool_call></tool_call>") * whole.count("<tool_call>") + 6 * whole.count("```") * 2 + 10
    written = sum(
        len("".join(f'{{"name": "{name}", "arguments": {text}}}'.split())) for name, text in parsed.calls
    )
    assert missing <= written + forms


ARGUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "a": st.integers(),
        "b": st.text(),
        "c": st.lists(st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)),
    },
)
FORMS = st.sampled_from(["<tool_call>{}</tool_call>", "```json\n{}\n```", "{}", "[{}]"])
TEXTS = st.sampled_from(["Some text.", "More, {of} it.", "a < b"])


@given(st.lists(st.tuples(TEXTS, st.lists(st.tuples(FORMS, ARGUMENTS), min_size=1))))
def test_every_call_among_texts_is_found_with_its_arguments(
    parts: list[tuple[str, list[tuple[str, dict[str, object]]]]],
) -> None:
    lines = []
    for text, calls in parts:
        lines.append(text)
        for form, arguments in calls:
            lines.append(form.replace("{}", json.dumps({"name": "add", "arguments": arguments})))
    parsed = read("\n".join(lines))
    given_arguments = [arguments for _, calls in parts for _, arguments in calls]
    assert [json.loads(text) for _, text in parsed.calls] == given_arguments
    assert parsed.text == "\n".join(text for text, _ in parts)


@pytest.mark.parametrize(
    "hostile",
    [
        '{"arguments":\n' * 20_000,
        "<tool_call>" * 20_000,
        "[" * 200_000,
        "\n{" * 100_000,
        '{"name": "' * 20_000,
        " " * 200_000 + "{",
        '<tool_call>{"name":"add","arguments":"' + "\\" * 200_000,
        "`" * 200_000,
    ],
)
def test_hostile_answers_cost_little(hostile: str) -> None:
    began = time.process_time()
    parsed = read(hostile)
    assert parsed == Parsed(hostile, [])
    assert time.process_time() - began < 2


def test_a_long_call_in_small_pieces_costs_little() -> None:
    answer = '<tool_call>{"name": "add", "arguments": {"text": "' + "x" * 100_000 + '"}}</tool_call>'
    began = time.process_time()
    parsed = parse(JsonToolCallParser(NAMES), [answer[at : at + 4] for at in range(0, len(answer), 4)])
    assert len(parsed.calls[0][1]) > 100_000
    assert time.process_time() - began < 4


def test_every_template_has_a_parser() -> None:
    assert parse(parser_for_template("{{ messages }}")(NAMES), [ADD]).calls == [CALLED_ADD]
