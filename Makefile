# The same commands for people and for continuous integration. `make` lists them.
PYTHON ?= python3
VENV := .venv
# Programs are run as modules, because the scripts beside them hold the clone's path and it may have moved.
BIN := $(VENV)/bin
PORT ?= 8501

.DEFAULT_GOAL := help
.PHONY: help run test test-all check lint types format bench clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.run ## set everything up and open the page
	$(BIN)/python -m streamlit run app.py --server.port $(PORT)

test: $(VENV)/.test ## set everything up and run the tests
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

test-all: test ## run the slow tests too, which try more of the same
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder -m slow

check: lint types test ## lint, types and tests

lint: $(VENV)/.test
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -c 'from importlinter.cli import lint_imports_command as lint; lint()' --no-cache

types: $(VENV)/.test
	$(BIN)/python -m mypy

format: $(VENV)/.test ## put the code into its format
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

bench: $(VENV)/.test ## run the benchmarks and write docs/benchmarks.md (about 14 minutes)
	$(BIN)/python -m bench

clean: ## remove what the commands above have made, but not your data
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache bench/.work

$(VENV)/.python:
	@command -v $(firstword $(PYTHON)) >/dev/null || { \
	  echo "Resift needs Python 3.11 or newer, and '$(PYTHON)' was not found: install it, or name one that is there, for instance: make run PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Resift needs Python 3.11 or newer, and '$(PYTHON)' is $$($(PYTHON) --version 2>&1 | head -n 1): install a newer one, or name it, for instance: make run PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "Python's venv module does not work here: install it (on Debian and Ubuntu: apt install python3-venv) and run make again."; exit 1; }
	@touch $@

$(VENV)/.run: $(VENV)/.python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.test: $(VENV)/.python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.run
