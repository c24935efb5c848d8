# Two commands do all the set-up on a fresh machine: `make example` runs the main job, `make test` passes the tests.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
EXTRAS := dask,hls4ml,plot,qkeras,rtl,xdist

.PHONY: help example test matrix lint types docs bench paper clean

help:
	@echo "make example   run the example project's fault budgets"
	@echo "make test      run the tests"
	@echo "make matrix    run the front end's tests in the environments that users have"
	@echo "make lint      ruff and the import contracts"
	@echo "make types     mypy --strict"
	@echo "make docs      build the documentation, warnings are errors"
	@echo "make bench     measure speed against the naive way: make bench [DATA=../shared/data] [BENCH_OPTIONS='--json FILE']"
	@echo "make paper     repeat the paper's evaluation: make paper DATA=folder [PAPER_OPTIONS='--wafers 4000']"

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --editable '.[$(EXTRAS)]' --group test --group lint --group docs --group ci
	@touch $@

example: $(STAMP)
	$(BIN)/pytest -c example_project/pyproject.toml example_project

test: $(STAMP)
	$(BIN)/pytest -n 2 --dist worksteal

matrix: $(STAMP)
	$(BIN)/nox

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(STAMP)
	$(BIN)/mypy

docs: $(STAMP)
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -b html docs docs/_build/html

bench: $(STAMP)
	$(BIN)/python -m benchmarks.speed $(if $(DATA),--data $(DATA)) $(BENCH_OPTIONS)
	$(BIN)/python benchmarks/hls4ml_engine.py --case speed $(if $(DATA),--data $(DATA))

paper: $(STAMP)
	@test -n "$(DATA)" || { echo "name the folder with models and data: make paper DATA=../shared/data"; exit 2; }
	$(BIN)/python -m benchmarks.paper --data $(DATA) $(PAPER_OPTIONS)

clean:
	rm -rf $(VENV) build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .fkeras_cache
