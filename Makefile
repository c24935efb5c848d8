# Two commands do all the set-up on a fresh machine: `make example` runs the main job, `make test` passes the tests.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: help example test lint types bench docs clean

help:
	@echo "make example   run the example project's fault budgets"
	@echo "make test      run the tests"
	@echo "make lint      ruff and the import contracts"
	@echo "make types     mypy --strict"
	@echo "make bench     measure speed against the naive way"
	@echo "make docs      build the documentation, warnings are errors"

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --editable '.[plot,xdist]' --group test --group lint
	@touch $@

example: $(STAMP)
	$(BIN)/pytest -c example_project/pyproject.toml example_project

test: $(STAMP)
	$(BIN)/pytest -n 2 --dist worksteal

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(STAMP)
	$(BIN)/mypy

bench: $(STAMP)
	$(BIN)/python benchmarks/speed.py

docs: $(STAMP)
	$(BIN)/pip install --quiet --group docs
	$(BIN)/sphinx-build -W -n docs docs/_build

clean:
	rm -rf $(VENV) build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .fkeras_cache
