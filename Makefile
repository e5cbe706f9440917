# Every target makes the environment it needs: a machine with Python 3.11 or newer and make is enough.

VENV := .venv
BIN := $(VENV)/bin
SUPPORTED := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c '$(SUPPORTED)' 2>/dev/null && { echo "$$python"; break; }; done)

# Two stamps, so that `make demo` and `make run` need not wait for the development tools.
RUNTIME := $(VENV)/.runtime-ready
DEVELOPMENT := $(VENV)/.development-ready

# Byte code is left for the first import: the exchange library alone has hundreds of modules nobody loads.
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile
# The lock brings setuptools, the build backend, so the project itself is installed without the network.
INSTALL_PROJECT := $(INSTALL) --no-deps --no-build-isolation --editable .

WORKERS ?=
# Tests wait a good deal, for processes, clocks and servers: one worker more than two cores keeps both busy.
TESTERS := $(or $(WORKERS),3)
CORES := $(or $(WORKERS),2)
DATA ?=
ARGS ?=
TESTS ?=
TIMES ?= 2
DATABASE ?=
RUNS ?= 50000
FIRST ?= 0
SEED ?=

# What one process has compiled the next one reads; on some machines Python is told otherwise.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo picture run test simulate mutants crash fuzz cluster coverage check format bench lock clean

help: ## show this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -e 's/:.*## /|/' | awk -F'|' '{ printf "make %-9s %s\n", $$1, $$2 }'

setup: $(DEVELOPMENT) ## install everything, development tools included

demo: $(RUNTIME) ## play the whole story on the paper venue (DATA=prices.csv for recorded prices)
	$(BIN)/hedgerow demo $(if $(DATA),--data "$(DATA)") $(ARGS)

picture: $(RUNTIME) ## draw docs/demo.png and its dark twin from the demo
	$(BIN)/hedgerow demo --picture docs/demo.png >/dev/null

run: $(RUNTIME) ## start the bot; without a token the chat opens in this terminal
	$(BIN)/hedgerow run $(ARGS)

test: $(DEVELOPMENT) ## run the tests (TESTS=tests/domain WORKERS=0 ARGS=-x to narrow; DATABASE=postgresql)
	$(BIN)/python -m pytest -n $(TESTERS) --dist worksteal $(if $(DATABASE),--database=$(DATABASE)) $(TESTS) $(ARGS)

# Every boundary once, and of each recovery every 24th, in turn another one; ARGS="--again 1" leaves out none.
crash: $(DEVELOPMENT) ## kill -9 at every boundary, singly and doubly, on each database (ARGS="--deed open" to narrow)
	$(BIN)/python -m tests.crash $(ARGS)

fuzz: $(DEVELOPMENT) ## 20,000 inputs and chats against a model, new ones each time (TIMES=10 for a longer search)
	FUZZ=$(TIMES) HYPOTHESIS_PROFILE=explore $(BIN)/python -m pytest -n $(CORES) -s tests/fuzz $(ARGS)

# A run is told by its number; sets have to be walked through in the same order each time.
simulate: $(DEVELOPMENT) ## prove that no leg is lost (RUNS=2000000 for a night, SEED=1234 tells one run)
	PYTHONHASHSEED=0 $(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED),--runs $(RUNS) \
		--first $(FIRST) --workers $(CORES))

mutants: $(DEVELOPMENT) ## prove that the simulation finds bugs: break the code on purpose, one bug at a time
	PYTHONHASHSEED=0 $(BIN)/python -m tests.simulation.mutants --workers $(CORES) $(ARGS)

coverage: $(DEVELOPMENT) ## run the tests in one process and report the lines they miss
	$(BIN)/coverage run -m pytest $(TESTS) $(ARGS)
	$(BIN)/coverage report

check: $(DEVELOPMENT) ## lint, format, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(DEVELOPMENT) ## apply the formatter and the safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

cluster: $(DEVELOPMENT) ## three processes on one database, struck under load; 1, 2 and 3 compared (ARGS=--blows=20)
	$(BIN)/python -m tests.processes $(ARGS)

bench: $(DEVELOPMENT) ## run the side-by-side benchmarks
	$(BIN)/python -m bench $(ARGS)

# uv resolves for every supported Python and platform at once and records every file of each release;
# it lives in a virtual environment of its own because nothing else needs it.
LOCKER := .venv-lock
COMPILE := $(LOCKER)/bin/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links --extra build $(UPGRADE)
UPGRADE ?=

lock: ## make the lock files again (UPGRADE=--upgrade for newer versions)
	$(if $(PYTHON),,$(error Python 3.11 or newer was not found; name one with PYTHON=...))
	$(PYTHON) -m venv $(LOCKER)
	$(LOCKER)/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	$(COMPILE) --output-file requirements.lock
	$(COMPILE) --extra dev --constraint requirements.lock --output-file requirements-dev.lock

clean: ## remove the environments, caches and build leftovers; databases stay
	rm -rf $(VENV) $(LOCKER) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache \
		.hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	$(if $(PYTHON),,$(error Python 3.11 or newer was not found; name one with PYTHON=...))
	@$(PYTHON) -m venv $(VENV)

$(RUNTIME): requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing the locked packages into $(VENV), once ..."
	@$(INSTALL) --require-hashes --requirement requirements.lock
	@$(INSTALL_PROJECT)
	@touch $@

$(DEVELOPMENT): requirements-dev.lock requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing the locked packages and the development tools into $(VENV), once ..."
	@$(INSTALL) --require-hashes --requirement requirements-dev.lock
	@$(INSTALL_PROJECT)
	@touch $(RUNTIME) $@
