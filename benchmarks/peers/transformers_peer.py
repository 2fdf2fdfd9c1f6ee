"""transformers on the CPU: its Llama model in eager mode, in a greedy loop without generate's overhead."""

import copy
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import torch
from transformers import DynamicCache, LlamaForCausalLM

from benchmarks.peers.cases import WARM_UP_STEPS, Case
from benchmarks.peers.gguf_weights import load_transformers_model
from benchmarks.peers.wire import CannotMeasure, Measurement, serve


class TransformersPeer:
    """transformers as a contestant; `options["dtype"]` is "bfloat16" or "float32"."""

    def __init__(self) -> None:
        self._model: LlamaForCausalLM | None = None
        self._prepared: dict[int, tuple[DynamicCache, torch.Tensor]] = {}

    def load(self, model: Path, options: Mapping[str, object], cases: Sequence[Case]) -> tuple[str, int]:
        """Dequantize the file's weights into `dtype`."""
        torch.set_num_threads(int(str(options["threads"])))
        dtypes = {"bfloat16": torch.bfloat16, "float32": torch.float32}
        self._model = load_transformers_model(model, dtypes[str(options["dtype"])])
        name = f"transformers {version('transformers')}, torch {torch.__version__}, {options['dtype']}"
        return name, self._model.config.vocab_size

    @torch.inference_mode()
    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        """Greedy continuation of one stream."""
        cache = DynamicCache()
        chosen = [self._prefill(prompt, cache)]
        while len(chosen) < count:
            chosen.append(self._forward(chosen[-1], cache))
        return [int(token) for token in chosen]

    @torch.inference_mode()
    def measure(self, case: Case, prompts: Sequence[Sequence[int]]) -> Measurement:
        """One case, once; all streams are copies of one prompt."""
        if case.kind == "arrival":
            raise CannotMeasure("this loop mixes no prompt with running streams: it has no scheduler")
        if case.kind == "prefill":
            return self._measure_prefill(prompts)
        cache, tokens = self._streams(prompts[0], case.streams)
        for _ in range(WARM_UP_STEPS):
            tokens = self._forward(tokens, cache)
        started = time.perf_counter()
        for _ in range(case.steps):
            tokens = self._forward(tokens, cache)
        return Measurement(case.streams * case.steps, time.perf_counter() - started, "eager")

    @torch.inference_mode()
    def score(self, windows: Sequence[Sequence[int]]) -> float:
        """Each window is one forward pass."""
        loss = 0.0
        for window in windows:
            ids = torch.tensor(window)
            logits = self._loaded()(input_ids=ids[None]).logits[0, :-1].float()
            loss += float(torch.nn.functional.cross_entropy(logits, ids[1:], reduction="sum"))
        return loss

    def _measure_prefill(self, prompts: Sequence[Sequence[int]]) -> Measurement:
        started = time.perf_counter()
        for prompt in prompts:
            self._prefill(prompt, DynamicCache()).item()
        return Measurement(sum(map(len, prompts)), time.perf_counter() - started, "eager")

    def _streams(self, prompt: Sequence[int], streams: int) -> tuple[DynamicCache, torch.Tensor]:
        """A cache that holds a prompt for every stream, and each one's next token."""
        if len(prompt) not in self._prepared:
            cache = DynamicCache()
            self._prepared[len(prompt)] = cache, self._prefill(prompt, cache)
        kept, token = self._prepared[len(prompt)]
        cache = copy.deepcopy(kept)
        cache.batch_repeat_interleave(streams)
        return cache, token.expand(streams, 1)

    def _prefill(self, prompt: Sequence[int], cache: DynamicCache) -> torch.Tensor:
        return self._forward(torch.tensor([prompt]), cache)

    def _forward(self, ids: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
        """The likeliest next token of every row, shape (rows, 1)."""
        output = self._loaded()(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return output.logits[:, -1].argmax(dim=-1, keepdim=True)

    def _loaded(self) -> LlamaForCausalLM:
        if self._model is None:
            raise CannotMeasure("no model is loaded")
        return self._model


if __name__ == "__main__":
    serve(TransformersPeer())
