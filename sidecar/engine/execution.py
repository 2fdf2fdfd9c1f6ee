"""One step's rows through the executor, and what happens when that fails.

This is part of the engine thread's boundary: whatever an executor, a grammar
or a tokenizer raises ends one request, never the engine.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sidecar.engine.active_request import Choice
from sidecar.engine.scheduler import ScheduledRow
from sidecar.errors import InternalError, SidecarError
from sidecar.executors.base import ExecutionBatch, ExecutionRow, Executor, RowResult

logger = logging.getLogger(__name__)

Outcome = RowResult | SidecarError
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """A scheduled row as the executor gets it, and the block copy it needs first."""

    scheduled: ScheduledRow
    execution: ExecutionRow
    copy: tuple[int, int] | None = None


def plan_row(row: ScheduledRow, choice: Choice, cancel: bytearray) -> PlannedRow:
    """The executor's view of a scheduled row."""
    sequence = row.sequence
    execution = ExecutionRow(
        token_ids=sequence.tokens[sequence.computed : sequence.computed + row.count],
        start=sequence.computed,
        block_table=sequence.block_table,
        samples=0,
        cancel=cancel,
    )
    if row.samples:
        writer = choice.writer
        mask = writer.next_mask()
        execution.samples = 1
        execution.sampling = choice.sampling
        execution.penalty_counts = writer.penalty_counts
        execution.forbidden_ids = writer.forbidden_ids
        execution.masks = () if mask is None else (mask,)
    if sequence.copy_source is None:
        return PlannedRow(row, execution)
    return PlannedRow(row, execution, (sequence.copy_source, sequence.block_table[-1]))


def run_rows(executor: Executor, rows: Sequence[PlannedRow]) -> list[Outcome]:
    """One outcome a row. When the executor fails on them together they are computed one by one.

    Computing a row again is safe: it writes the same positions, and nothing
    was committed.
    """
    if not rows:
        return []
    outcome = attempt(lambda: _run(executor, rows), "the executor failed on a step")
    if not isinstance(outcome, SidecarError):
        return outcome
    if len(rows) == 1:
        return [outcome]
    return [outcome for row in rows for outcome in run_rows(executor, [row])]


def attempt(work: Callable[[], Result], what: str) -> Result | SidecarError:
    """What `work` returns, or its error as one request's failure.

    An error that is not of our tree is logged; its text, which may hold a
    user's, does not go on.
    """
    try:
        return work()
    except SidecarError as error:
        return error
    except Exception as error:
        logger.exception("%s", what)
        return InternalError(f"{what} ({type(error).__name__}); the log has the details")


def _run(executor: Executor, rows: Sequence[PlannedRow]) -> list[Outcome]:
    copies = [row.copy for row in rows if row.copy is not None]
    if copies:
        executor.copy_blocks(copies)
    results = executor.execute(ExecutionBatch([row.execution for row in rows])).rows
    if len(results) != len(rows):
        raise InternalError(f"the executor answered {len(rows)} rows with {len(results)} results")
    return list(results)
