# make demo: install and watch a small model train.   make test: install and run lint, types and tests.
# make bench: measure how fast it is, on a machine that does nothing else (minutes).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test bench install lint types unit docs clean

demo: $(VENV)/.installed
	$(BIN)/reid-tui demo

test: lint types unit

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

unit: $(VENV)/.installed-dev
	$(BIN)/pytest -n 3 --dist loadfile  # three on two cores: terminals and pauses wait more than they work

bench: $(VENV)/.installed-dev
	$(BIN)/python -m tests.benchmarks --json bench.json

docs: $(VENV)/.installed-dev
	$(BIN)/python -m docs.make_reference
	$(BIN)/python -m docs.make_screenshots

install: $(VENV)/.installed

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --editable '.[dev]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) build dist
