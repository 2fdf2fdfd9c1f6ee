"""From an ExecutionBatch to the flat arrays of abi.h, and from what came back to results."""

import ctypes
import struct
from array import array

from sidecar.errors import InvalidParams
from sidecar.executors.base import (
    LOGITS_NOT_FINITE,
    NOTHING_ALLOWED,
    STATES_NOT_FINITE,
    ExecutionBatch,
    ExecutionRow,
    RowResult,
    SamplingParameters,
)
from sidecar.executors.native.buffers import address_of
from sidecar.executors.native.library import Batch, Row, Sample
from sidecar.generation import SampledLogprobs, TokenLogprob

_SAMPLE_ERRORS = {3: LOGITS_NOT_FINITE, 4: NOTHING_ALLOWED}
_CANCELLED, _STATES_NOT_FINITE = 1, 2
_ROW = struct.Struct("@Q7d4iP14i")
_PENALTY = struct.Struct("@ii")
_BIAS = struct.Struct("@if")
_WORD = 0xFFFFFFFFFFFFFFFF
_NO_SAMPLING = SamplingParameters(temperature=0.0)
assert _ROW.size == ctypes.sizeof(Row)


class PackedBatch:
    """A batch as C++ reads it, with room for its results. Keeps alive what it points to."""

    def __init__(self, batch: ExecutionBatch, vocabulary: int) -> None:
        """Raises InvalidParams when a mask is shorter than the vocabulary."""
        self.rows = batch.rows
        self._vocabulary = vocabulary
        self._tokens = array("i")
        self._blocks = array("i")
        self._forbidden = array("i")
        self._masks = array("Q")
        self._penalties = bytearray()
        self._biases = bytearray()
        self._cancels: list[ctypes.Array[ctypes.c_char]] = []
        self._rows = bytearray(_ROW.size * len(batch.rows))
        self._sample_count = 0
        top = 0
        for index, row in enumerate(batch.rows):
            sampling = row.sampling or _NO_SAMPLING
            top = max(top, sampling.top_logprobs)
            self._pack(index, row, sampling)
            self._sample_count += row.samples
        self.top_logprobs = top
        self.statuses = array("i", bytes(4 * len(batch.rows)))
        self.samples = (Sample * max(1, self._sample_count))()
        self.top_tokens = array("i", bytes(4 * top * self._sample_count))
        self.top_values = array("f", bytes(4 * top * self._sample_count))

    def structure(self) -> Batch:
        """The batch as a C structure; it points into this object."""
        return Batch(
            _address(self._rows),
            self._tokens.buffer_info()[0],
            self._blocks.buffer_info()[0],
            _address(self._penalties),
            _address(self._biases),
            self._forbidden.buffer_info()[0],
            self._masks.buffer_info()[0],
            len(self.rows),
            len(self._tokens),
            len(self._blocks),
            len(self._penalties) // _PENALTY.size,
            len(self._biases) // _BIAS.size,
            len(self._forbidden),
            len(self._masks),
            self.top_logprobs,
        )

    def results(self) -> list[RowResult]:
        """What the step did, once it was executed."""
        results = []
        first = 0
        for row, status in zip(self.rows, self.statuses, strict=True):
            places = range(first, first + row.samples)
            first += row.samples
            if status == _CANCELLED:
                results.append(RowResult(cancelled=True))
            elif status == _STATES_NOT_FINITE:
                results.append(RowResult(error=STATES_NOT_FINITE))
            else:
                results.append(self._sampled(row, places))
        return results

    def _sampled(self, row: ExecutionRow, places: range) -> RowResult:
        samples = [self.samples[place] for place in places]
        for sample in samples:
            if sample.status:
                return RowResult(error=_SAMPLE_ERRORS[sample.status])
        tokens = tuple(sample.token for sample in samples)
        if row.sampling is None or not row.sampling.logprobs:
            return RowResult(tokens)
        logprobs = tuple(self._logprobs(place, sample) for place, sample in zip(places, samples, strict=True))
        return RowResult(tokens, logprobs)

    def _logprobs(self, place: int, sample: Sample) -> SampledLogprobs:
        first = place * self.top_logprobs
        listed = range(first, first + sample.top_count)
        return SampledLogprobs(
            TokenLogprob(sample.token, sample.logprob),
            tuple(TokenLogprob(self.top_tokens[entry], self.top_values[entry]) for entry in listed),
        )

    def _pack(self, index: int, row: ExecutionRow, sampling: SamplingParameters) -> None:
        cancel = (ctypes.c_char * 1).from_buffer(row.cancel)
        self._cancels.append(cancel)
        firsts = (
            len(self._penalties) // _PENALTY.size,
            len(self._biases) // _BIAS.size,
            len(self._forbidden),
            len(self._masks),
        )
        first_token, first_block = len(self._tokens), len(self._blocks)
        self._tokens.extend(row.token_ids)
        self._blocks.extend(row.block_table)
        if row.samples:
            for token, (times, _) in row.penalty_counts.items():
                self._penalties += _PENALTY.pack(token, times)
            for token, value in sampling.logit_bias.items():
                if token < self._vocabulary:
                    self._biases += _BIAS.pack(token, value)
            self._forbidden.extend(row.forbidden_ids)
            self._masks.extend(map(self._mask_address, row.masks))
        counts = (
            len(self._penalties) // _PENALTY.size,
            len(self._biases) // _BIAS.size,
            len(self._forbidden),
            len(self._masks),
        )
        parts = [number for first, end in zip(firsts, counts, strict=True) for number in (first, end - first)]
        _ROW.pack_into(
            self._rows,
            index * _ROW.size,
            sampling.seed & _WORD,
            sampling.temperature,
            sampling.top_p,
            sampling.min_p,
            sampling.typical_p,
            sampling.repetition_penalty,
            sampling.frequency_penalty,
            sampling.presence_penalty,
            sampling.choice,
            sampling.top_k,
            sampling.logprobs,
            sampling.top_logprobs,
            ctypes.addressof(cancel),
            first_token,
            len(row.token_ids),
            row.start,
            first_block,
            len(row.block_table),
            row.samples,
            *parts,
        )

    def _mask_address(self, mask: memoryview | None) -> int:
        if mask is None:
            return 0
        needed = (self._vocabulary + 31) // 32 * 4
        if mask.nbytes < needed:
            raise InvalidParams(f"a constraint mask has {mask.nbytes} bytes; the vocabulary needs {needed}")
        return address_of(mask)


def _address(memory: bytearray) -> int:
    return ctypes.addressof((ctypes.c_char * len(memory)).from_buffer(memory)) if memory else 0
