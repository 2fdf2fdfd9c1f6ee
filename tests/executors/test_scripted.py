"""The scripted executor is what other tests lean on, so it must see what it claims to see."""

import pytest

from sidecar.engine.inference_engine import InferenceEngine
from sidecar.executors.base import (
    BLOCK_SIZE,
    ExecutionBatch,
    ExecutionRow,
    ExecutorOptions,
    RowResult,
    SamplingParameters,
)
from sidecar.executors.scripted import (
    TURN_END,
    VOCAB_SIZE,
    CacheMismatch,
    ScriptedExecutor,
    ScriptedExecutorKind,
    answer_chat,
    scripted_model,
)
from sidecar.generation import GenerationOutput, GenerationParams
from sidecar.text.tokenizer import Tokenizer
from tests.support.scripted import scripted_engine


def executor() -> ScriptedExecutor:
    made = ScriptedExecutor(lambda tokens, choice: len(tokens))
    made.allocate_cache(8)
    return made


def row(token_ids: list[int], start: int, block_table: list[int], **fields: object) -> ExecutionRow:
    made = ExecutionRow(token_ids, start, block_table, sampling=SamplingParameters())
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def run(made: ScriptedExecutor, *rows: ExecutionRow) -> list[RowResult]:
    return list(made.execute(ExecutionBatch(rows)).rows)


def test_it_answers_from_the_tokens_that_its_blocks_hold() -> None:
    made = executor()
    run(made, row(list(range(20)), 0, [3, 1], samples=0))
    assert run(made, row([7], 20, [3, 1]))[0].token_ids == (21,)
    assert made.computed_tokens == 21


@pytest.mark.parametrize(
    ("start", "table", "complaint"),
    [
        (20, [1, 3], "position 0 in block 1"),
        (20, [3, 5], "position 16 in block 5"),
        (19, [3, 3], "twice"),
        (21, [3, 1], "position 20 in block 1"),
    ],
)
def test_a_wrong_block_table_or_position_is_a_mismatch(start: int, table: list[int], complaint: str) -> None:
    made = executor()
    run(made, row(list(range(20)), 0, [3, 1], samples=0))
    with pytest.raises(CacheMismatch, match=complaint):
        run(made, row([7], start, table))
    assert len(made.mismatches) == 1


def test_another_sequence_s_block_is_a_mismatch_even_at_the_right_position() -> None:
    made = executor()
    run(made, row([1] * 16, 0, [0], samples=0), row([2] * 16, 0, [1], samples=0))
    run(made, row([1] * 16, 16, [0, 2], samples=0), row([1] * 16, 16, [1, 3], samples=0))
    with pytest.raises(CacheMismatch, match="position 16 in block 3"):
        run(made, row([7], 32, [0, 3, 4]))


def test_a_row_may_not_read_what_another_row_of_the_step_writes() -> None:
    made = executor()
    with pytest.raises(CacheMismatch, match="writes a block of row 1"):
        run(made, row([1] * 16, 0, [0], samples=0), row([2], 16, [0, 1]))


def test_a_copied_block_reads_like_its_source() -> None:
    made = executor()
    run(made, row([1] * 10, 0, [0], samples=0))
    with pytest.raises(CacheMismatch):
        run(made, row([2], 10, [5]))
    made.copy_blocks([(0, 5)])
    assert run(made, row([2], 10, [5]))[0].token_ids == (11,)


def test_exported_blocks_can_be_imported_elsewhere() -> None:
    made = executor()
    run(made, row(list(range(BLOCK_SIZE + 4)), 0, [0, 1], samples=0))
    made.import_blocks([6, 7], made.export_blocks([0, 1]))
    assert run(made, row([9], 20, [6, 7]))[0].token_ids == (21,)


def test_masks_and_forbidden_tokens_are_heeded() -> None:
    made = executor()
    mask = bytearray(-(-VOCAB_SIZE // 32) * 4)
    mask[5] = 0b110
    results = run(
        made,
        row([1], 0, [0], forbidden_ids=(1,)),
        row([1], 0, [1], masks=(memoryview(mask),)),
        row([1], 0, [2], masks=(memoryview(mask),), forbidden_ids=(41,)),
        row([1], 0, [3], masks=(memoryview(bytes(len(mask))),)),
    )
    assert [result.token_ids for result in results[:3]] == [(ord(" "),), (41,), (42,)]
    assert results[3].error == "no token is allowed"


def test_a_cancelled_row_is_given_up() -> None:
    (result,) = run(executor(), row([1], 0, [0], cancel=bytearray(b"\1")))
    assert result == RowResult(cancelled=True)


def test_the_built_in_vocabulary_is_the_bytes_and_three_control_tokens() -> None:
    tokenizer = Tokenizer.from_source(scripted_model().tokenizer)
    every_byte = bytes(range(256))
    assert b"".join(tokenizer.token_bytes(token_id) for token_id in range(256)) == every_byte
    text = "grüß dich, 世界 <|im_end|>"
    assert tokenizer.encode(text) == list(text.encode())
    assert tokenizer.encode("<|im_end|>", parse_special=True) == [TURN_END]


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("hello\nworld", "hello\nworld"),
        ("", ""),
        ("count 4", "1 2 3 4"),
        ("silence", ""),
        ("slow 1 count 2", "1 2"),
        (
            'call weather {"city": "Bern"}',
            '<tool_call>\n{"name": "weather", "arguments": {"city": "Bern"}}\n</tool_call>',
        ),
        (
            "Well.\ncall a {}\ncall b {}\nthen all done",
            (
                'Well.\n<tool_call>\n{"name": "a", "arguments": {}}\n</tool_call>\n'
                '<tool_call>\n{"name": "b", "arguments": {}}\n</tool_call>'
            ),
        ),
    ],
)
def test_it_answers_the_last_turn(said: str, answer: str) -> None:
    engine = scripted_engine()
    assert ask(engine, said).text == answer


def ask(engine: InferenceEngine, said: str, **settings: int) -> GenerationOutput:
    prompt = (
        "<|im_start|>system\ncount 9<|im_end|>\n<|im_start|>user\ncount 8<|im_end|>\n"
        f"<|im_start|>assistant\nno<|im_end|>\n<|im_start|>user\n{said}<|im_end|>\n<|im_start|>assistant\n"
    )
    return engine.generate(engine.tokenize(prompt, parse_special=True), GenerationParams(**settings))


RESULTS = (
    "<|im_start|>user\n<tool_response>\none\n</tool_response>\n"
    "<tool_response>\ntwo\n</tool_response><|im_end|>\n"
)


@pytest.mark.parametrize(
    ("said", "rounds", "answer"),
    [
        ("call a {}\nthen count 3\nthen all done", 1, "1 2 3"),
        ("call a {}\nthen count 3\nthen all done", 2, "all done"),
        ("call a {}\nthen count 3\nthen all done", 3, "one\ntwo"),
        ("call a {}", 1, "one\ntwo"),
    ],
)
def test_each_round_of_results_is_answered_by_the_next_step(said: str, rounds: int, answer: str) -> None:
    engine = scripted_engine()
    prompt = f"<|im_start|>user\ncount 9<|im_end|>\n<|im_start|>user\n{said}<|im_end|>\n"
    prompt += f"<|im_start|>assistant\nx<|im_end|>\n{RESULTS}" * rounds + "<|im_start|>assistant\n"
    output = engine.generate(engine.tokenize(prompt, parse_special=True), GenerationParams())
    assert output.text == answer


def test_talk_goes_on_until_it_is_stopped() -> None:
    assert ask(scripted_engine(), "talk", max_tokens=10).text == "la la la l"


def test_a_plain_prompt_is_continued_along_the_alphabet() -> None:
    tokens = list(b"xy")
    for _ in range(4):
        tokens.append(answer_chat(tokens, 0))
    assert bytes(tokens) == b"xyzabc"


def test_the_kind_makes_executors_that_need_no_conversion() -> None:
    kind = ScriptedExecutorKind()
    source = scripted_model()
    assert list(kind.quantizations(source)) == ["float32"]
    assert not kind.needs_conversion(source, "float32")
    assert kind.create(ExecutorOptions("cpu")).name == "scripted"
