"""transformers on the CPU: its Llama model in eager mode, in a greedy loop without generate's overhead."""

import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import torch
from transformers import DynamicCache, LlamaForCausalLM

from benchmarks.peers.cases import WARM_UP_STEPS, Case, random_prompt
from benchmarks.peers.gguf_weights import load_transformers_model
from benchmarks.peers.wire import CannotMeasure, Measurement, serve


class TransformersPeer:
    """transformers as a contestant; `options["dtype"]` is "bfloat16" or "float32"."""

    def __init__(self) -> None:
        self._model: LlamaForCausalLM | None = None
        self._prepared: dict[Case, tuple[DynamicCache, torch.Tensor]] = {}

    def load(self, model: Path, options: Mapping[str, object], cases: Sequence[Case]) -> str:
        """Dequantize the file's weights into `dtype`."""
        torch.set_num_threads(int(str(options["threads"])))
        dtypes = {"bfloat16": torch.bfloat16, "float32": torch.float32}
        self._model = load_transformers_model(model, dtypes[str(options["dtype"])])
        return f"transformers {version('transformers')}, torch {torch.__version__}, {options['dtype']}"

    @torch.inference_mode()
    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        """Greedy continuation of one stream."""
        cache = DynamicCache()
        chosen = [self._prefill(prompt, cache)]
        while len(chosen) < count:
            chosen.append(self._forward(chosen[-1], cache))
        return [int(token) for token in chosen]

    @torch.inference_mode()
    def measure(self, case: Case, round_number: int) -> Measurement:
        """One case, once."""
        if case.kind == "prefill":
            return self._measure_prefill(case, round_number)
        if case not in self._prepared:
            cache = DynamicCache()
            first = self._prefill(random_prompt(case.context, self._vocabulary(), name="stream 0"), cache)
            cache.batch_repeat_interleave(case.streams)
            self._prepared[case] = cache, first.expand(case.streams, 1)
        cache, tokens = self._prepared[case]
        grown = cache.get_seq_length() - case.context
        if grown:
            cache.crop(-grown)
        for _ in range(WARM_UP_STEPS):
            tokens = self._forward(tokens, cache)
        started = time.perf_counter()
        for _ in range(case.steps):
            tokens = self._forward(tokens, cache)
        return Measurement(case.streams * case.steps, time.perf_counter() - started, "eager")

    def _measure_prefill(self, case: Case, round_number: int) -> Measurement:
        seconds = 0.0
        for index in range(case.steps):
            prompt = random_prompt(case.context, self._vocabulary(), name=f"prefill {round_number} {index}")
            started = time.perf_counter()
            self._prefill(prompt, DynamicCache()).item()
            seconds += time.perf_counter() - started
        return Measurement(case.context * case.steps, seconds, "eager")

    def _prefill(self, prompt: Sequence[int], cache: DynamicCache) -> torch.Tensor:
        return self._forward(torch.tensor([prompt]), cache)

    def _forward(self, ids: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
        """The likeliest next token of every row, shape (rows, 1)."""
        if self._model is None:
            raise CannotMeasure("no model is loaded")
        output = self._model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return output.logits[:, -1].argmax(dim=-1, keepdim=True)

    def _vocabulary(self) -> int:
        assert self._model is not None
        return self._model.config.vocab_size


if __name__ == "__main__":
    serve(TransformersPeer())
