# The same few commands for people and CI. `make demo` and `make test` need nothing but Python 3.11+ and a package registry.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
TRAIN  := $(VENV)/.train
TORCH  := torch==2.13.0
TWO    := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: help setup demo test fast check bench docs lock clean

help:            ## list the commands
	@grep -E '^[a-z]+: .*##' Makefile | sed 's/:.*##/ -/'

setup: $(READY)  ## make .venv with the locked packages and netgpt in it

$(READY): requirements-test.lock pyproject.toml
	@echo "Installing the locked packages into $(VENV) (about a minute) ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-test.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(TRAIN): requirements-train.lock $(READY)
	@echo "Installing the extra for training (about two minutes) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-train.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	@touch $@

demo: setup      ## set up, fetch the edge model once, ask seven questions, show what became of each
	$(BIN)/netgpt demo

test: $(TRAIN)   ## every test, as CI runs them, two files at once (the edge model is fetched once)
	$(BIN)/python -m pytest $(TWO)

fast: $(TRAIN)   ## the tests that need no engine and no patience
	$(BIN)/python -m pytest $(TWO) -m "not slow"

check: $(TRAIN)  ## lint, format, types
	$(BIN)/ruff check src tests docs
	$(BIN)/ruff format --check src tests docs
	$(BIN)/mypy

bench: $(TRAIN)  ## the published figures (development data by path; see docs/benchmarks.md)
	$(BIN)/netgpt bench overhead
	$(BIN)/netgpt bench stream
	$(BIN)/netgpt bench completion
	$(BIN)/netgpt bench train
	$(BIN)/netgpt bench swap
	$(BIN)/netgpt bench isolation
	$(BIN)/netgpt bench paper

docs: setup      ## write the generated parts of the docs
	$(BIN)/python docs/generate.py

lock: setup      ## resolve the dependencies anew and pin them with hashes (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-header -o requirements.lock pyproject.toml
	uv pip compile --quiet --universal --generate-hashes --no-header --extra test -o requirements-test.lock pyproject.toml requirements-build.in
	uv pip compile --quiet --universal --generate-hashes --no-header --extra test --extra train --override requirements-torch.override -o requirements-train.lock pyproject.toml requirements-build.in requirements-torch.in

clean:           ## remove what was built
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
