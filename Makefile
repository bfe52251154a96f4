# Verbs of this repository. The first one to run makes the environment.
#   make demo   train on a small dataset, export, verify           DEMO_ARGS=...
#   make test   the tests                                           PYTEST_ARGS=...
#   make lint   ruff (lint and format) and mypy
#   make docs   the site, into build/docs: warnings are errors, tutorials are run
#   make bench  time of a training step, its parts, its input   BENCH_ARGS=...
#   make clean  remove what building and testing leave behind; keeps .venv and runs
# PYTHON=python3.12 chooses the interpreter that the environment is made with.

PYTHON ?= python3
VENV ?= .venv
DEMO_ARGS ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=

BIN := $(abspath $(VENV))/bin
STAMP := $(VENV)/.installed
DOCS := $(VENV)/.installed-docs

.PHONY: help demo test lint types docs linkcheck bench clean
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -n 8

$(STAMP): setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Received: PYTHON=$(PYTHON) ($$($(PYTHON) --version 2>&1)). Expected:" \
	    "Python 3.11 or newer. Fix: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { \
	  echo "venv is missing: trying virtualenv" >&2; \
	  { $(PYTHON) -m virtualenv --version >/dev/null 2>&1 \
	    || $(PYTHON) -m pip install --user virtualenv; } \
	  && $(PYTHON) -m virtualenv --clear $(VENV); }
	$(BIN)/python -m pip install -e '.[all,dev]'
	@touch $@

.venv: $(STAMP)

demo: $(STAMP)
	TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/josrc-demo --workdir=runs/demo $(DEMO_ARGS)

test: $(STAMP)
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: $(STAMP) types
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

# mypy checks the tree that setup.py installs: there, and only there, callbacks/ is
# josrc_keras/callbacks/.
types: $(STAMP)
	@rm -rf build/types
	$(BIN)/python setup.py -q build_py --build-lib build/types
	cd build/types && $(BIN)/python -m mypy --config-file ../../pyproject.toml \
	  --cache-dir ../../.mypy_cache

$(DOCS): $(STAMP)
	$(BIN)/python -m pip install -e '.[docs]'
	@touch $@

docs: $(DOCS)
	$(BIN)/python -m sphinx -E -W --keep-going -q -b html -d build/doctrees docs build/docs

# Needs a network; `make docs` needs none.
linkcheck: $(DOCS)
	$(BIN)/python -m sphinx -q -b linkcheck -D nb_execution_mode=off \
	  -d build/linkcheck/doctrees docs build/linkcheck

bench: $(STAMP)
	TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python benchmarks/step.py $(BENCH_ARGS)
	TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python benchmarks/profile_step.py
	TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python benchmarks/variants.py
	TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python benchmarks/cost.py
	TF_CPP_MIN_LOG_LEVEL=2 $(BIN)/python benchmarks/pipeline.py

clean:
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find . -path './$(VENV)' -prune -o -type d -name __pycache__ -exec rm -rf {} +
