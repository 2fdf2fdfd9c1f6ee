"""From a model's name to a model in memory: resolve, convert where needed, load, allocate the cache."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from sidecar.engine.config import EngineConfig
from sidecar.engine.info import LoadListener, LoadProgress, LoadStage, ModelInfo
from sidecar.engine.memory import plan_cache
from sidecar.errors import Cancelled, Unsupported
from sidecar.executors.base import CacheLayout, ConversionProgress, Executor, ExecutorKind, ExecutorOptions
from sidecar.executors.memory import available_memory
from sidecar.executors.registry import executor_kind, preferred_executors
from sidecar.library.convert import prepare_model
from sidecar.library.resolve import resolve_model
from sidecar.models.open import open_model
from sidecar.models.source import ModelSource
from sidecar.text.tokenizer import Tokenizer

SCRIPTED = "scripted"


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """What a model is known by: `key` is the same for every name of it."""

    key: str
    name: str


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """All that an engine needs of a model. `cache_namespace` tells apart what may not share blocks."""

    info: ModelInfo
    tokenizer: Tokenizer
    executor: Executor
    layout: CacheLayout
    cache_namespace: str


def model_identity(config: EngineConfig) -> ModelIdentity:
    """Which model `config` means; touches the disk. Raises NotFound."""
    if config.executor == SCRIPTED:
        return ModelIdentity(f"{SCRIPTED}:{config.model}", config.model)
    entry = resolve_model(config.model, config.library)
    return ModelIdentity(str(entry.path), entry.name)


def load_model(config: EngineConfig, progress: LoadListener, cancelled: Callable[[], bool]) -> LoadedModel:
    """Bring `config.model` into memory.

    Raises NotFound, Unsupported, OutOfMemory, ModelLoadFailed; Cancelled soon
    after `cancelled()` has become true.
    """
    progress(LoadProgress(LoadStage.RESOLVE, 0.0))
    name, source = _open(config)
    kind, quantization = choose_executor(config, source)
    progress(LoadProgress(LoadStage.RESOLVE, 1.0))
    return load_source(config, name, source, kind, quantization, progress, cancelled)


def load_source(
    config: EngineConfig,
    name: str,
    source: ModelSource,
    kind: ExecutorKind,
    quantization: str,
    progress: LoadListener = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> LoadedModel:
    """Bring an opened model into memory on an executor of `kind`. Raises what `load_model` raises."""

    def stage(name: LoadStage) -> ConversionProgress:
        def report(fraction: float, _: str) -> None:
            if cancelled():
                raise Cancelled(f"loading model {config.model!r} was cancelled")
            progress(LoadProgress(name, fraction))

        return report

    options = ExecutorOptions(config.device, config.threads, config.kernel_path, config.cache_type)
    estimate = kind.memory_estimate(source, quantization, options)
    plan = plan_cache(config, source.config.context_length, estimate, available_memory())
    tokenizer = Tokenizer.from_source(source.tokenizer, vocab_size=source.config.vocab_size)
    model = prepare_model(source, kind, quantization, config.library, stage(LoadStage.CONVERT), cancelled)
    executor = kind.create(options)
    try:
        executor.load(model, stage(LoadStage.LOAD))
        report = stage(LoadStage.ALLOCATE)
        report(0.0, "")
        layout = executor.allocate_cache(plan.blocks)
        report(1.0, "")
    except BaseException:
        executor.close()
        raise
    return LoadedModel(
        info=ModelInfo(
            name=name,
            path=source.path,
            architecture=source.config.architecture,
            parameter_count=source.config.parameter_count,
            vocab_size=source.config.vocab_size,
            context_length=plan.context_length,
            model_context_length=source.config.context_length,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_ids=tuple(dict.fromkeys((*source.config.eos_token_ids, *tokenizer.eos_token_ids))),
            chat_template=source.chat_template,
            executor=executor.name,
            device=executor.device,
            kernel_path=executor.kernel_path,
            quantization=quantization,
            cache_tokens=layout.blocks * layout.block_size,
            cache_bytes=layout.blocks * layout.bytes_per_block,
            weights_bytes=estimate.weights_bytes,
            memory_bytes=estimate.weights_bytes
            + estimate.overhead_bytes
            + plan.blocks * estimate.bytes_per_block,
        ),
        tokenizer=tokenizer,
        executor=executor,
        layout=layout,
        cache_namespace="|".join((str(source.path), quantization, executor.name, layout.fingerprint)),
    )


def choose_executor(config: EngineConfig, source: ModelSource) -> tuple[ExecutorKind, str]:
    """The executor and quantization that `config` means for a model. Raises Unsupported."""
    names = preferred_executors(config.device) if config.executor == "auto" else [config.executor]
    offers = []
    for name in names:
        kind = executor_kind(name)
        quantizations = kind.quantizations(source)
        if config.quantization in quantizations:
            return kind, config.quantization
        if config.quantization == "auto" and quantizations:
            return kind, quantizations[0]
        offers += [f"{name}: {', '.join(quantizations) or 'no quantization of this architecture'}"]
    raise Unsupported(
        f"no executor runs {source.config.architecture!r} as {config.quantization!r}; there are: "
        f"{'; '.join(offers) or 'no executors (the extra llm-sidecar[engine] brings one)'}"
    )


def _open(config: EngineConfig) -> tuple[str, ModelSource]:
    if config.executor == SCRIPTED:
        from sidecar.executors.scripted import scripted_model

        return config.model, replace(scripted_model(), path=Path(config.model))
    entry = resolve_model(config.model, config.library)
    return entry.name, open_model(Path(entry.path))
