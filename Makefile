# The same few commands for people and CI. `make demo` and `make test` need
# nothing but Python 3.11+ and a package registry.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
INSTALL := tools/install.sh $(VENV)
TORCH  := torch==2.13.0
COMPILE := uv pip compile --quiet --universal --generate-hashes --no-header
# What is in .venv, one stamp a step: each step adds to the one before it.
TOOLS  := $(VENV)/.tools
BOX    := $(VENV)/.box
BENCH  := $(VENV)/.bench
READY  := $(VENV)/.ready
TRAIN  := $(VENV)/.train
DOCS   := $(VENV)/docs
SBOM   := $(VENV)/sbom
# Four files at once, on two cores too: many tests wait for a process or a clock, and leave the core to others.
FOUR   := -n 4 --dist loadfile --no-loadscope-reorder
unexport PYTHONDONTWRITEBYTECODE  # where it is set, each of the hundreds of processes of a run compiles all it imports

.PHONY: help setup demo test fast agents check bench docs sbom advisories lock clean

help:            ## list the commands
	@grep -E '^[a-z]+: .*##' Makefile | sed 's/:.*##/ -/'

setup: $(READY)  ## make .venv with the locked packages and netgpt in it

$(TOOLS): requirements-build.lock
	@echo "Making $(VENV), with uv in it (seconds) ..."
	@$(PYTHON) -m venv $$(uv --version >/dev/null 2>&1 && echo --without-pip) $(VENV)
	@$(INSTALL) --require-hashes -r requirements-build.lock
	@touch $@

$(BOX): requirements.lock pyproject.toml hatch_build.py $(TOOLS)
	@echo "Installing what a box needs: 41 packages, 300 MB (seconds with uv, two minutes with pip) ..."
	@$(INSTALL) --require-hashes -r requirements.lock
	@echo "Installing netgpt, and its data once (25 MB) ..."
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib src/netgpt || true  # uv does not; a start takes half of the time
	@touch $@

$(BENCH): benchmarks/pyproject.toml $(BOX)
	@$(INSTALL) --no-deps --no-build-isolation -e benchmarks
	@touch $@

$(READY): requirements-test.lock $(BENCH)
	@echo "Installing what the tests need (under a minute) ..."
	@$(INSTALL) --require-hashes -r requirements-test.lock
	@touch $@

$(TRAIN): requirements-train.lock $(READY)
	@echo "Installing the extra for training (about two minutes) ..."
	@$(INSTALL) --require-hashes --no-deps -r requirements-train.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	@touch $@

demo: $(BOX)     ## set up, fetch the models once, tell a story with a real box: what leaves, what stays, how to check it
	@$(BIN)/netgpt demo

test: $(TRAIN)   ## every test, as CI runs them, four files at once (the models are fetched once)
	@tools/browser.sh
	$(BIN)/python -m pytest $(FOUR)

fast: $(TRAIN)   ## the tests that need no engine and no patience
	$(BIN)/python -m pytest $(FOUR) -m "not slow"

agents: $(TRAIN) ## real coding agents through the gateway, all of them (installs 2 GB into the cache)
	NETGPT_TEST_AGENTS=all $(BIN)/python -m pytest tests/web/test_agents.py

check: $(TRAIN)  ## lint, format, types
	$(BIN)/ruff check src benchmarks tests tools docs examples
	$(BIN)/ruff format --check src benchmarks tests tools docs examples
	$(BIN)/mypy

bench: $(TRAIN)  ## the published figures (development data by path; see docs/benchmarks/)
	$(BIN)/netgpt bench overhead
	$(BIN)/netgpt bench stream
	$(BIN)/netgpt bench completion
	$(BIN)/netgpt bench train
	$(BIN)/netgpt bench swap
	$(BIN)/netgpt bench isolation
	$(BIN)/netgpt bench paper

$(DOCS)/.ready: requirements-docs.lock $(BENCH)
	@echo "Installing what builds the documentation site (seconds) ..."
	@$(PYTHON) -m venv $(DOCS)
	@tools/install.sh $(DOCS) --require-hashes -r requirements-docs.lock
	@touch $@

docs: $(DOCS)/.ready  ## write the generated pages, build the site into build/site; a broken link fails
	$(BIN)/python docs/generate.py $(CHECK)
	$(DOCS)/bin/python docs/build.py

$(SBOM)/.ready: requirements-sbom.lock $(TOOLS)
	@echo "Installing what writes the list of parts (seconds) ..."
	@$(PYTHON) -m venv $(SBOM)
	@tools/install.sh $(SBOM) --require-hashes -r requirements-sbom.lock
	@touch $@

sbom: $(SBOM)/.ready  ## the packages of an installed box, with versions and hashes, as CycloneDX in build/sbom.json
	@mkdir -p build
	$(SBOM)/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible -o build/sbom.json requirements.lock

advisories: $(SBOM)/.ready  ## known faults of the locked packages, from the public advisory database (asks the network)
	$(SBOM)/bin/pip-audit --require-hashes --disable-pip -r requirements.lock

lock:            ## resolve the dependencies anew and pin them with hashes (needs uv)
	$(COMPILE) -o requirements-build.lock requirements-build.in
	$(COMPILE) -o requirements.lock pyproject.toml
	$(COMPILE) --extra test --extra mcp --extra postgres -o requirements-test.lock pyproject.toml requirements-build.in
	$(COMPILE) --extra test --extra mcp --extra postgres --extra train --override requirements-torch.override -o requirements-train.lock pyproject.toml requirements-build.in requirements-torch.in
	$(COMPILE) --python-version 3.11 -o requirements-docs.lock requirements-docs.in
	$(COMPILE) --python-version 3.11 -o requirements-sbom.lock requirements-sbom.in
	$(COMPILE) --python-version 3.11 -o requirements-sdks.lock requirements-sdks.in

clean:           ## remove what was built
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
