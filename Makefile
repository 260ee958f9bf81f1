# Everything a contributor runs. `make` alone lists the targets.
# Each works on a machine that has python3 (3.11 or newer) with venv, and nothing else.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PATHS := src tests bench examples

.DEFAULT_GOAL := help
.PHONY: help dev demo test check bench lint types contracts format docs sdk-venvs clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

dev: $(STAMP) ## run a server to play with, with a receiver beside it
	@$(BIN)/ringback dev

demo: $(STAMP) ## watch a payment provider and a shop talk: retries, an outage, a replay
	@$(BIN)/python examples/shop/demo.py

test: $(STAMP) ## run the tests (ARGS="-k retry" to choose)
	@RINGBACK_TEST_VENDORS=1 $(BIN)/pytest -n 2 --dist worksteal $(ARGS)

check: lint types contracts test ## everything that CI runs

bench: $(STAMP) ## measure throughput and latency (ARGS="--help" for the choices)
	@$(BIN)/python -m bench $(ARGS)

lint: $(STAMP) ## ruff: rules and formatting
	@$(BIN)/ruff check --quiet $(PATHS)
	@$(BIN)/ruff format --quiet --check --diff $(PATHS)

types: $(STAMP) ## mypy --strict
	@$(BIN)/mypy

contracts: $(STAMP) ## who may import whom (import-linter)
	@PYTHONPATH=src $(BIN)/lint-imports --no-logo --cache-dir .import_linter_cache

format: $(STAMP) ## rewrite the code as the linter wants it
	@$(BIN)/ruff check --quiet --fix $(PATHS)
	@$(BIN)/ruff format --quiet $(PATHS)

docs: $(STAMP) ## regenerate docs/configuration.md and docs/providers.md from the code
	@$(BIN)/ringback config --markdown > docs/configuration.md.new
	@mv docs/configuration.md.new docs/configuration.md
	@$(BIN)/python -m ringback.receive.catalogue > docs/providers.md.new
	@mv docs/providers.md.new docs/providers.md

sdk-venvs: $(STAMP) ## make the environments of the SDK matrix (tests/sdk), once
	@$(BIN)/python tests/sdk/venvs.py

clean: ## remove what was built, and the environment
	rm -rf $(VENV) dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests bench examples -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Ringback needs Python 3.11 or newer: make PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (once) ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input -e '.[dev]' </dev/null
	@touch $@
