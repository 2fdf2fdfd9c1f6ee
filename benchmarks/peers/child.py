"""The driver's side of a contestant's process."""

import json
import queue
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.folders import PROJECT_DIR, RESULTS_DIR
from benchmarks.peers.cases import Case, prompts_of
from benchmarks.peers.wire import Measurement

ANSWER_SECONDS = 900.0
"""A contestant that takes longer for one answer counts as hung."""


class ContestantFailed(Exception):
    """A contestant answered with an error, died, or did not answer in time."""


class ContestantProcess:
    """One contestant, running. Raises ContestantFailed from every call."""

    def __init__(self, command: Sequence[str], name: str, variables: Mapping[str, str] | None = None) -> None:
        self._vocabulary = 0
        RESULTS_DIR.mkdir(parents=True, exist_ok=True)
        self._log = RESULTS_DIR / f"{''.join(c if c.isalnum() else '-' for c in name)}.log"
        self._log_file = self._log.open("w")
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log_file,
            cwd=PROJECT_DIR,
            env=variables,
            text=True,
            encoding="utf-8",
        )
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def load(self, model: Path, options: Mapping[str, object], cases: Sequence[Case]) -> str:
        """Load a model; returns what the engine calls itself."""
        answer = self._ask(
            {
                "do": "load",
                "model": str(model),
                "options": options,
                "cases": [case.to_json() for case in cases],
            }
        )
        self._vocabulary = int(answer["vocabulary"])
        return str(answer["engine"])

    def greedy(self, prompt: Sequence[int], count: int) -> list[int]:
        """The first tokens of the greedy continuation."""
        return [
            int(token)
            for token in self._ask({"do": "greedy", "prompt": list(prompt), "count": count})["tokens"]
        ]

    def measure(self, case: Case, round_number: int) -> Measurement:
        """One case, once."""
        prompts = prompts_of(case, round_number, self._vocabulary)
        answer = self._ask({"do": "measure", "case": case.to_json(), "prompts": prompts})
        return Measurement(
            int(answer["tokens"]),
            float(answer["seconds"]),
            str(answer["settings"]),
            float(answer["longest_gap"]),
        )

    def score(self, windows: Sequence[Sequence[int]]) -> float:
        """The summed negative log-likelihood of texts, each but for its first token."""
        return float(self._ask({"do": "score", "windows": windows})["loss"])

    def peak_bytes(self) -> int:
        """The most memory the process has had."""
        return int(self._ask({"do": "memory"})["peak_bytes"])

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log_file.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")

    def _last_words(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "no word why")

    def _ask(self, request: Mapping[str, object]) -> dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._answers.get(timeout=ANSWER_SECONDS)
        except BrokenPipeError:
            line = ""
        except queue.Empty:
            self._process.kill()
            raise ContestantFailed(f"no answer to {request['do']} in {ANSWER_SECONDS:.0f} s") from None
        if not line:
            raise ContestantFailed(f"the process ended: {self._last_words()}; see {self._log.name}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ContestantFailed(str(answer["error"]))
        return answer
