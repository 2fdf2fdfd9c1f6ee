"""An executor that says what a test tells it; chosen by a start option alone, never by `auto`.

It computes nothing, but it is strict about the cache: every slot of a block
remembers its position, its token and a fingerprint of all tokens before it. A
wrong block table, a copy that was not made or a block that was given away too
early ends the step with CacheMismatch.

Its built-in model has one token a byte and three special tokens, speaks ChatML
and answers what the user said last:

| the user says               | the answer                                              |
|-----------------------------|---------------------------------------------------------|
| `count N`                   | `1 2 3 … N`                                             |
| `call NAME {"json": true}`  | a tool call, in Hermes' `<tool_call>` format; of several|
|                             | lines each that says so is a call, the others are text  |
| `talk`                      | `la la la …` until something stops it                   |
| `silence`                   | nothing                                                 |
| `slow MS REST`              | the answer to REST, each token MS milliseconds later    |
| `fail`                      | that row's own error, at its first token                |
| `crash`                     | the whole step raises                                   |
| anything else               | the same text again                                     |

A text of several steps, each but the first on a new line that begins with `then `,
is answered step by step: the next one after each round of tool results. When the
steps are through, results are answered with the results, line by line. So

    call add {"a": 1, "b": 2}
    call weather {"city": "Bern"}
    then call add {"a": 3, "b": 4}
    then all done

makes two calls at once, one more after their results, and then says `all done`;
without the last line it says what the last call gave.

A prompt without chat turns is continued along the alphabet.
"""

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from sidecar.executors.base import (
    BLOCK_SIZE,
    CacheLayout,
    ConversionProgress,
    ConvertedModel,
    ExecutionBatch,
    ExecutionResult,
    ExecutionRow,
    ExecutorOptions,
    MemoryEstimate,
    RowResult,
)
from sidecar.generation import SampledLogprobs, TokenLogprob
from sidecar.models.config import ModelConfig
from sidecar.models.source import ModelSource, TokenizerSource

END_OF_TEXT = 256
TURN_START = 257
TURN_END = 258
VOCAB_SIZE = 259
CONTEXT_LENGTH = 4096
BYTES_PER_BLOCK = 4096
ENDLESS = b"la "
_CALL = re.compile(r"^call ([\w.-]+) (\{.*\})$", re.MULTILINE)
_RESULT = re.compile(r"<tool_response>\n(.*?)\n</tool_response>", re.DOTALL)

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

Script = Callable[[list[int], int], int]
"""(all tokens so far, number of the choice) → the next token. May raise RowFailure, or anything else."""


class RowFailure(Exception):
    """A script's way to end its own row with an error."""


class CacheMismatch(Exception):
    """A block does not hold what its row says it holds."""


@dataclass(slots=True)
class Controls:
    """A test's hands on the executor. Called on the engine thread; may block or raise."""

    before_execute: Callable[[ExecutionBatch], None] | None = None
    before_copy: Callable[[Sequence[tuple[int, int]]], None] | None = None


@dataclass(frozen=True, slots=True)
class _Slot:
    position: int
    token_id: int
    fingerprint: int
    """Of all tokens up to this one."""


class ScriptedExecutor:
    """Answers from a script; see the module."""

    name = "scripted"
    device = "cpu"
    kernel_path = ""

    def __init__(self, script: Script | None = None, controls: Controls | None = None) -> None:
        self.controls = controls or Controls()
        self.computed_tokens = 0
        self.mismatches: list[CacheMismatch] = []
        """Every mismatch that was raised; the engine may survive one by computing rows alone."""
        self._script = script or answer_chat
        self._blocks: list[list[_Slot | None]] = []

    def load(self, model: ConvertedModel, progress: ConversionProgress) -> None:
        """Nothing to load."""
        progress(1.0, "load")

    def allocate_cache(self, blocks: int) -> CacheLayout:
        """Empty blocks."""
        self._blocks = [[None] * BLOCK_SIZE for _ in range(blocks)]
        return CacheLayout(blocks, BYTES_PER_BLOCK, "scripted-1")

    def execute(self, batch: ExecutionBatch) -> ExecutionResult:
        """Check and fill the rows' blocks, ask the script. Raises CacheMismatch, and what it raises."""
        if self.controls.before_execute is not None:
            self.controls.before_execute(batch)
        self._check_writes(batch.rows)
        # All rows are read before any is written: none may lean on what this very step computes.
        known = [self._read(row) for row in batch.rows]
        return ExecutionResult(
            [self._run(row, *cached) for row, cached in zip(batch.rows, known, strict=True)]
        )

    def copy_blocks(self, pairs: Sequence[tuple[int, int]]) -> None:
        """Copy whole blocks."""
        if self.controls.before_copy is not None:
            self.controls.before_copy(pairs)
        for source, target in pairs:
            self._blocks[target] = list(self._blocks[source])

    def export_blocks(self, blocks: Sequence[int]) -> bytes:
        """The slots as JSON."""
        slots = [slot for block in blocks for slot in self._blocks[block]]
        return json.dumps(
            [slot and (slot.position, slot.token_id, slot.fingerprint) for slot in slots]
        ).encode()

    def import_blocks(self, blocks: Sequence[int], content: bytes) -> None:
        """Fill blocks with exported slots."""
        slots = [slot and _Slot(*slot) for slot in json.loads(content)]
        for index, block in enumerate(blocks):
            self._blocks[block] = slots[index * BLOCK_SIZE : (index + 1) * BLOCK_SIZE]

    def close(self) -> None:
        """Drop the blocks."""
        self._blocks = []

    def _check_writes(self, rows: Sequence[ExecutionRow]) -> None:
        for index, row in enumerate(rows):
            if len(set(row.block_table)) != len(row.block_table):
                self._complain(f"row {index} has a block twice in its table: {row.block_table}")
            end = row.start + len(row.token_ids)
            written = set(row.block_table[row.start // BLOCK_SIZE : -(-end // BLOCK_SIZE)])
            for other_index, other in enumerate(rows):
                if other is not row and written.intersection(other.block_table):
                    self._complain(f"row {index} writes a block of row {other_index}")

    def _run(self, row: ExecutionRow, tokens: list[int], fingerprint: int) -> RowResult:
        if row.cancel[0]:
            return RowResult(cancelled=True)
        for position, token_id in enumerate(row.token_ids, row.start):
            fingerprint = _mix(fingerprint, token_id)
            block = self._blocks[row.block_table[position // BLOCK_SIZE]]
            block[position % BLOCK_SIZE] = _Slot(position, token_id, fingerprint)
        self.computed_tokens += len(row.token_ids)
        if row.samples == 0:
            return RowResult()
        tokens.extend(row.token_ids)
        try:
            return self._sample(row, tokens)
        except RowFailure as failure:
            return RowResult(error=str(failure))

    def _read(self, row: ExecutionRow) -> tuple[list[int], int]:
        """The tokens that the cache holds before the row's own, each of them checked."""
        tokens: list[int] = []
        fingerprint = 0
        for position in range(row.start):
            slot = self._blocks[row.block_table[position // BLOCK_SIZE]][position % BLOCK_SIZE]
            token_id = -1 if slot is None else slot.token_id
            fingerprint = _mix(fingerprint, token_id)
            if slot != _Slot(position, token_id, fingerprint):
                block = row.block_table[position // BLOCK_SIZE]
                self._complain(f"position {position} in block {block} holds {slot}, not this row's token")
            tokens.append(token_id)
        return tokens, fingerprint

    def _complain(self, what: str) -> NoReturn:
        self.mismatches.append(CacheMismatch(what))
        raise self.mismatches[-1]

    def _sample(self, row: ExecutionRow, tokens: list[int]) -> RowResult:
        sampling = row.sampling
        assert sampling is not None
        assert row.samples == 1
        wanted = self._script(tokens, sampling.choice)
        mask = row.masks[0] if row.masks else None
        token_id = next(
            (
                candidate
                for candidate in (wanted, ord(" "), *range(VOCAB_SIZE))
                if candidate not in row.forbidden_ids and _is_allowed(candidate, mask)
            ),
            None,
        )
        if token_id is None:
            return RowResult(error="no token is allowed")
        logprobs: tuple[SampledLogprobs, ...] = ()
        if sampling.logprobs:
            top = tuple(
                TokenLogprob((token_id + rank) % VOCAB_SIZE, -0.5 - rank)
                for rank in range(sampling.top_logprobs)
            )
            logprobs = (SampledLogprobs(TokenLogprob(token_id, -0.5), top),)
        return RowResult((token_id,), logprobs)


@dataclass(frozen=True, slots=True)
class ScriptedExecutorKind:
    """Makes scripted executors."""

    script: Script | None = None
    controls: Controls | None = None
    name: str = "scripted"
    layout_version: int = 1

    def quantizations(self, source: ModelSource) -> Sequence[str]:
        """One, for its built-in model's sake."""
        return ("float32",)

    def needs_conversion(self, source: ModelSource, quantization: str) -> bool:
        """Never."""
        return False

    def convert(
        self, source: ModelSource, quantization: str, target: Path, progress: ConversionProgress
    ) -> None:
        """Writes nothing."""
        progress(1.0, "convert")

    def memory_estimate(
        self, source: ModelSource, quantization: str, options: ExecutorOptions
    ) -> MemoryEstimate:
        """Next to nothing."""
        return MemoryEstimate(weights_bytes=0, bytes_per_block=BYTES_PER_BLOCK, overhead_bytes=0)

    def create(self, options: ExecutorOptions) -> ScriptedExecutor:
        """A new executor with the kind's script and controls."""
        return ScriptedExecutor(self.script, self.controls)


def scripted_model() -> ModelSource:
    """The built-in model: no weights, one token a byte (its id is the byte), ChatML."""
    config = ModelConfig(
        architecture="scripted",
        vocab_size=VOCAB_SIZE,
        hidden_size=1,
        intermediate_size=1,
        num_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=1,
        context_length=CONTEXT_LENGTH,
        rms_norm_epsilon=1e-5,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_ids=(TURN_END, END_OF_TEXT),
    )
    tokenizer = TokenizerSource(
        model="gpt2",
        pre="gpt-2",
        tokens=(*_byte_characters(), "<|endoftext|>", "<|im_start|>", "<|im_end|>"),
        token_types=(*[1] * 256, 3, 3, 3),
        eos_token_ids=(TURN_END, END_OF_TEXT),
    )
    return ModelSource(
        path=Path("scripted"),
        file_format="scripted",
        config=config,
        tensors={},
        tokenizer=tokenizer,
        chat_template=CHAT_TEMPLATE,
    )


def answer_chat(tokens: list[int], choice: int) -> int:
    """The script of the built-in model."""
    if TURN_START not in tokens:
        last = tokens[-1]
        return last + 1 if ord("a") <= last < ord("z") else ord("a")
    answer_turn = len(tokens) - tokens[::-1].index(TURN_START)
    _, _, written = _text(tokens[answer_turn:]).partition(b"\n")
    answer = _answer(_command(tokens[: answer_turn - 1]))
    if answer == ENDLESS:
        return answer[len(written) % len(answer)]
    return answer[len(written)] if len(written) < len(answer) else TURN_END


def _command(tokens: list[int]) -> str:
    """What the next answer is to be, by the last turn, or by what was said before tool results."""
    rounds = 0
    results: list[str] = []
    end = len(tokens)
    while True:
        start = end - tokens[end - 1 :: -1].index(TURN_START) if TURN_START in tokens[:end] else end
        role, _, said = _turn_text(tokens, start).partition("\n")
        if role == "user" and (found := _RESULT.findall(said)):
            rounds += 1
            results = results or found
        elif role != "assistant" or not rounds:
            break
        end = start - 1
    steps = said.split("\nthen ")
    return "\n".join(results) if rounds >= len(steps) else steps[rounds]


def _turn_text(tokens: list[int], start: int) -> str:
    end = tokens.index(TURN_END, start) if TURN_END in tokens[start:] else len(tokens)
    return _text(tokens[start:end]).decode(errors="replace")


def _answer(text: str) -> bytes:
    if slow := re.fullmatch(r"slow (\d{1,4}) (.*)", text, re.DOTALL):
        time.sleep(int(slow[1]) / 1000)
        return _answer(slow[2])
    if count := re.fullmatch(r"count (\d{1,4})", text):
        return " ".join(str(number) for number in range(1, int(count[1]) + 1)).encode()
    if text == "talk":
        return ENDLESS
    if text == "silence":
        return b""
    if text == "fail":
        raise RowFailure("the script failed this row")
    if text == "crash":
        raise RuntimeError("the script crashed this step")
    return _CALL.sub(r'<tool_call>\n{"name": "\1", "arguments": \2}\n</tool_call>', text).encode()


def _text(tokens: list[int]) -> bytes:
    return bytes(token_id for token_id in tokens if token_id < END_OF_TEXT)


def _is_allowed(token_id: int, mask: memoryview | None) -> bool:
    return mask is None or bool(mask.cast("B")[token_id // 8] >> token_id % 8 & 1)


def _mix(fingerprint: int, token_id: int) -> int:
    return (fingerprint * 1_000_003 + token_id + 1) & 0xFFFF_FFFF_FFFF


def _byte_characters() -> list[str]:
    """GPT-2's printable stand-ins for the 256 bytes, in the bytes' order."""
    printable = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(256, 512))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]
