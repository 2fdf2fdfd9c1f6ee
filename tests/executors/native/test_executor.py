"""The native executor at the seam: results, cancelling, blocks, memory, and what it refuses."""

import dataclasses
import math
from collections.abc import Iterator

import pytest
import torch

from sidecar.errors import InvalidParams, ModelLoadFailed, ModelNotLoaded, OutOfMemory, Unsupported
from sidecar.executors.base import (
    STATES_NOT_FINITE,
    ConvertedModel,
    ExecutionBatch,
    ExecutorOptions,
    SamplingParameters,
)
from sidecar.executors.native import executor as native_executor
from sidecar.executors.native.estimate import cache_type
from sidecar.executors.native.executor import NativeExecutor
from sidecar.executors.native.kind import NativeExecutorKind
from sidecar.models.config import DType, RopeConfig
from sidecar.models.source import StoredTensor
from tests.support.native_executor import USABLE_PATHS, load_native, native_logits
from tests.support.random_source import random_source, small_config
from tests.support.torch_executor import GREEDY, row

PROMPT = [5, 9, 200, 31, 7]
SOURCE = random_source(DType.Q4_1, small_config())
KIND = NativeExecutorKind()


@pytest.fixture(scope="module")
def executor() -> Iterator[NativeExecutor]:
    loaded = load_native(SOURCE, "q4_1")
    yield loaded
    loaded.close()


def test_a_row_gets_the_likeliest_token(executor: NativeExecutor) -> None:
    expected = int(native_logits(executor, row(PROMPT))[0].argmax())
    [result] = executor.execute(ExecutionBatch([row(PROMPT)])).rows
    assert result.token_ids == (expected,)
    assert result.logprobs == ()


def test_every_sampled_position_gets_its_token(executor: NativeExecutor) -> None:
    expected = native_logits(executor, row(PROMPT, samples=3)).argmax(dim=-1).tolist()
    results = executor.execute(
        ExecutionBatch([row(PROMPT, samples=0), row(PROMPT, samples=3, blocks=[9])])
    ).rows
    assert [result.token_ids for result in results] == [(), tuple(expected)]


def test_logprobs_are_those_of_the_raw_logits(executor: NativeExecutor) -> None:
    wanted = torch.log_softmax(native_logits(executor, row(PROMPT))[0], dim=-1)
    sampling = SamplingParameters(temperature=0, logprobs=True, top_logprobs=3, repetition_penalty=1.5)
    [result] = executor.execute(ExecutionBatch([row(PROMPT, sampling=sampling)])).rows
    [logprobs] = result.logprobs
    assert logprobs.chosen.logprob == pytest.approx(float(wanted[logprobs.chosen.token_id]), abs=1e-5)
    assert [item.token_id for item in logprobs.top] == wanted.topk(3).indices.tolist()


def test_an_empty_batch_has_no_results(executor: NativeExecutor) -> None:
    assert executor.execute(ExecutionBatch([])).rows == []


def test_a_cancelled_row_ends_alone(executor: NativeExecutor) -> None:
    kept, cancelled = row(PROMPT), row(PROMPT, blocks=[3])
    cancelled.cancel[0] = 1
    first, second = executor.execute(ExecutionBatch([kept, cancelled])).rows
    assert (first.cancelled, len(first.token_ids)) == (False, 1)
    assert (second.cancelled, second.token_ids) == (True, ())


def test_a_batch_that_nobody_waits_for_is_given_up(executor: NativeExecutor) -> None:
    cancelled = row(PROMPT)
    cancelled.cancel[0] = 1
    executor.take_times()
    [result] = executor.execute(ExecutionBatch([cancelled])).rows
    assert result.cancelled
    assert executor.take_times()["head"] == 0


def test_numbers_that_are_not_finite_end_one_row_and_leave_nothing_behind() -> None:
    name = "model.embed_tokens.weight"
    source = random_source(DType.F32, small_config())
    broken = torch.frombuffer(bytearray(source.tensors[name].data), dtype=torch.float32).view(320, 256)
    broken[13] = math.nan
    data = memoryview(broken.numpy().tobytes())
    tensors = {**source.tensors, name: StoredTensor(name, DType.F32, (320, 256), data)}
    executor = load_native(dataclasses.replace(source, tensors=tensors), "int8")
    alone = native_logits(executor, row(PROMPT))
    bad, good = executor.execute(ExecutionBatch([row([4, 13, 5], blocks=[1]), row(PROMPT, blocks=[2])])).rows
    assert bad.error == STATES_NOT_FINITE
    assert good.token_ids == (int(alone[0].argmax()),)
    assert torch.equal(native_logits(executor, row(PROMPT, blocks=[1])), alone)
    executor.close()


def test_the_cache_may_be_smaller_or_larger_numbers() -> None:
    """float32 is the measure; float16 comes close, bfloat16 and int8 (a scale a token and head) less so."""
    tokens = [(index * 37) % 320 for index in range(300)]
    logits = {}
    for kind in ("float32", "float16", "bfloat16", "int8"):
        executor = load_native(SOURCE, "float32", cache_type=kind)
        logits[kind] = native_logits(executor, row(tokens, samples=300))
        executor.close()
    spread = logits["float32"].std()
    assert (logits["float16"] - logits["float32"]).abs().max() < 0.02 * spread
    assert (logits["bfloat16"] - logits["float32"]).abs().max() < 0.1 * spread
    assert (logits["int8"] - logits["float32"]).abs().max() < 0.3 * spread
    assert not torch.equal(logits["int8"], logits["float16"])


@pytest.mark.parametrize("kernel_path", USABLE_PATHS)
def test_auto_takes_bfloat16_where_pairs_are_multiplied_at_once(kernel_path: str) -> None:
    options = ExecutorOptions("cpu", 1, kernel_path)
    kinds = [cache_type(quantization, options) for quantization in ("q4_1", "int8", "float32")]
    quantized = "bfloat16" if kernel_path == "avx512-bf16" else "float16"
    assert kinds == [quantized, quantized, "float32"]


def test_memory_is_what_was_estimated() -> None:
    for kind, numbers in (("float32", 4), ("float16", 2), ("bfloat16", 2)):
        options = ExecutorOptions("cpu", 1, "auto", kind)
        executor = NativeExecutor(options)
        executor.load(ConvertedModel(SOURCE, "q4_1"), lambda fraction, stage: None)
        layout = executor.allocate_cache(3)
        executor.close()
        assert layout.bytes_per_block == 2 * 2 * 2 * 16 * 32 * numbers
        assert layout.bytes_per_block == KIND.memory_estimate(SOURCE, "q4_1", options).bytes_per_block
    floats = random_source(DType.F32, small_config())
    int8 = KIND.memory_estimate(floats, "int8", ExecutorOptions()).weights_bytes
    float32 = KIND.memory_estimate(floats, "float32", ExecutorOptions()).weights_bytes
    assert int8 == pytest.approx(float32 * 34 / 128)


def test_what_is_offered_depends_on_the_file() -> None:
    assert KIND.quantizations(SOURCE)[0] == "q4_1"
    assert KIND.quantizations(random_source(DType.BF16, small_config()))[0] == "int8"
    assert KIND.quantizations(random_source(DType.I8, small_config())) == ()
    assert KIND.quantizations(random_source(DType.F32, small_config(architecture="gemma2"))) == ()
    assert KIND.quantizations(random_source(DType.F32, small_config(head_dim=20))) == ()
    part = small_config(rope=RopeConfig(rotary_dimensions=16))
    assert KIND.quantizations(random_source(DType.F32, part))
    assert KIND.quantizations(random_source(DType.F32, part, permuted_qk=True)) == ()
    yarn = RopeConfig(scaling={"rope_type": "yarn"})
    assert KIND.quantizations(random_source(DType.F32, small_config(rope=yarn))) == ()


def test_a_cancelled_load_leaves_nothing() -> None:
    executor = NativeExecutor(ExecutorOptions("cpu", 1))

    def give_up(fraction: float, stage: str) -> None:
        if fraction > 0.3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        executor.load(ConvertedModel(SOURCE, "q4_1"), give_up)
    executor.close()
    with pytest.raises(ModelNotLoaded):
        executor.execute(ExecutionBatch([row(PROMPT)]))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (ExecutorOptions("cuda"), "CPU"),
        (ExecutorOptions("cpu", 1, "sse9"), "sse9.*usable"),
    ],
)
def test_what_cannot_run_here_is_unsupported(options: ExecutorOptions, error: str) -> None:
    with pytest.raises(Unsupported, match=error):
        KIND.create(options)


def test_an_unknown_cache_type_is_refused() -> None:
    with pytest.raises(InvalidParams, match="cache_type"):
        KIND.memory_estimate(SOURCE, "q4_1", ExecutorOptions(cache_type="float8"))


def test_a_batch_that_is_not_sound_is_refused(executor: NativeExecutor) -> None:
    for bad, complaint in (
        (row([999]), "token"),
        (row(PROMPT, blocks=[64]), "block"),
        (dataclasses.replace(row(PROMPT), start=14), "positions"),
        (
            dataclasses.replace(row(PROMPT), sampling=dataclasses.replace(GREEDY, temperature=-1)),
            "temperature",
        ),
    ):
        with pytest.raises(InvalidParams, match=complaint):
            executor.execute(ExecutionBatch([bad]))
    with pytest.raises(InvalidParams, match="mask"):
        executor.execute(ExecutionBatch([dataclasses.replace(row(PROMPT), masks=(memoryview(b"\xff" * 8),))]))
    with pytest.raises(InvalidParams, match="bytes"):
        executor.import_blocks([0], b"too short")


def test_a_model_that_does_not_fit_is_refused_before_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(needed: int, purpose: str) -> None:
        raise OutOfMemory(f"not enough memory for {purpose}")

    monkeypatch.setattr(native_executor, "require_memory", no_memory)
    with pytest.raises(OutOfMemory, match="weights"):
        NativeExecutor(ExecutorOptions()).load(ConvertedModel(SOURCE, "q4_1"), lambda fraction, stage: None)


def test_a_tensor_that_does_not_fit_its_place_fails_the_load() -> None:
    name = "model.layers.1.mlp.up_proj.weight"
    tensor = SOURCE.tensors[name]
    cut = StoredTensor(name, tensor.dtype, tensor.shape, tensor.data[:-20])
    source = dataclasses.replace(SOURCE, tensors={**SOURCE.tensors, name: cut})
    with pytest.raises(ModelLoadFailed, match=r"up_proj.*bytes"):
        load_native(source, "q4_1")
