"""One step from batch to chosen tokens: plan, compute, check, sample."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from sidecar.executors.base import STATES_NOT_FINITE, ExecutionBatch, ExecutionResult, ExecutionRow, RowResult
from sidecar.executors.torch.cache_engine import CacheEngine
from sidecar.executors.torch.models.decoder import DecoderModel
from sidecar.executors.torch.sampler import Sample, SampleRequest, sample
from sidecar.executors.torch.step_plan import PlannedRow, StepPlan, plan_step


class ModelRunner:
    """A loaded model with its cache."""

    def __init__(self, model: DecoderModel, cache: CacheEngine) -> None:
        self.model = model
        self.cache = cache

    def execute(self, batch: ExecutionBatch) -> ExecutionResult:
        """See Executor.execute. What a failed row left in the cache is wiped."""
        if not batch.rows:
            return ExecutionResult([])
        plan = plan_step(batch, self.cache, self.model.config.sliding_window)
        hidden = self.model.forward(plan, self.cache)
        results = [RowResult(cancelled=True) for _ in batch.rows]
        if hidden is None:
            return ExecutionResult(results)
        failed = self._wipe_failed_rows(plan, hidden)
        samples = self._sample(plan, hidden)
        taken = 0
        for planned in plan.rows:
            chosen = samples[taken : taken + planned.row.samples]
            taken += planned.row.samples
            if not planned.row.cancel[0]:
                results[planned.index] = (
                    RowResult(error=STATES_NOT_FINITE) if planned.index in failed else _row_result(chosen)
                )
        return ExecutionResult(results)

    def logits(self, batch: ExecutionBatch) -> Tensor:
        """Raw logits float32 [sampled positions, vocabulary] of a batch, rows in the batch's order.

        What `execute` would choose from; for measuring a model rather than running it.
        """
        plan = plan_step(batch, self.cache, self.model.config.sliding_window)
        hidden = self.model.forward(plan, self.cache)
        if hidden is None:
            raise ValueError("every row of the batch is cancelled")
        by_row = sorted(plan.rows, key=lambda planned: planned.index)
        positions = [position for planned in by_row for position in _sampled_positions(planned)]
        return self.model.logits(hidden[positions])

    def _sample(self, plan: StepPlan, hidden: Tensor) -> Sequence[Sample]:
        requests = [request for planned in plan.rows for request in _requests(planned.row)]
        if not requests:
            return ()
        return sample(self.model.logits(hidden.index_select(0, plan.sampled)), requests)

    def _wipe_failed_rows(self, plan: StepPlan, hidden: Tensor) -> set[int]:
        """Indices of rows with hidden states that are not finite."""
        finite = hidden.sum(dim=-1).isfinite()
        if bool(finite.all()):
            return set()
        failed = [row for row in plan.rows if not bool(finite[row.begin : row.end].all())]
        for row in failed:
            self.cache.clear_slots(plan.slots[row.begin : row.end])
        return {row.index for row in failed}


def _sampled_positions(planned: PlannedRow) -> range:
    return range(planned.end - planned.row.samples, planned.end)


def _requests(row: ExecutionRow) -> list[SampleRequest]:
    """One request for each sampled position. Tokens computed before a position count as generated for it."""
    if not row.samples or row.sampling is None:
        return []
    first = len(row.token_ids) - row.samples
    counts: Mapping[int, tuple[int, bool]] = row.penalty_counts
    requests = []
    for offset in range(row.samples):
        if offset:
            token_id = row.token_ids[first + offset]
            times, in_prompt = counts.get(token_id, (0, False))
            counts = {**counts, token_id: (times + 1, in_prompt)}
        requests.append(
            SampleRequest(
                row.sampling,
                row.start + first + offset + 1,
                counts,
                row.forbidden_ids,
                row.masks[offset] if row.masks else None,
            )
        )
    return requests


def _row_result(samples: Sequence[Sample]) -> RowResult:
    error = next((item.error for item in samples if item.error), None)
    if error is not None:
        return RowResult(error=error)
    return RowResult(
        tuple(item.token_id for item in samples),
        tuple(item.logprobs for item in samples if item.logprobs is not None),
    )
