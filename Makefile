# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
EXAMPLE ?= examples/reviews-zh
WORKERS ?= 2
# Optional parts, such as `EXTRAS=sql,labels`; `all` takes every one
EXTRAS ?=
INSTALLED := $(VENV)/.installed$(if $(EXTRAS),-$(EXTRAS))

.PHONY: help install dev demo test lint format types floors unit proof bench clean

help:            ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	touch $@

# torch goes first: whatever depends on it then takes the build that is there
$(INSTALLED): $(VENV)/.python pyproject.toml requirements.lock
	$(BIN)/python -m pip install --quiet "$$(grep '^torch==' requirements.lock)"
	$(BIN)/python -m pip install --quiet -c requirements.lock --config-settings editable_mode=compat -e ".$(if $(EXTRAS),[$(EXTRAS)])"
	touch $@

$(VENV)/.developed: $(INSTALLED)
	$(BIN)/python -m pip install --quiet -c requirements.lock --config-settings editable_mode=compat -e ".[dev]"
	touch $@

install: $(INSTALLED) ## the environment, with locked versions
dev: $(VENV)/.developed     ## the environment for tests

demo: install    ## run the main job on bundled Chinese reviews: data in, a signed release out
	$(BIN)/modelyard run $(EXAMPLE)/modelyard.yaml

test: dev lint unit ## everything CI runs

lint: dev        ## style, types, floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: dev      ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

unit: dev        ## tests, without the slow proofs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not proof"

proof: dev       ## the slow proofs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m proof

bench: dev       ## benchmarks beside named peers, each in an environment of its own
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/serving.py

clean:           ## remove what tests and runs left, not the environment
	rm -rf .pytest_cache .mypy_cache .ruff_cache build dist benchmarks/.work
