# Everything a newcomer needs: `make demo`, `make test`, `make ui`. Each sets up what is missing and nothing twice.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Processes that share the tests; each has a PostgreSQL of its own.
WORKERS ?= 2

.PHONY: setup demo ui test lint lock clean

setup: $(STAMP)
	@$(BIN)/cogorch setup

# The lock names everything, so nothing has to be resolved, and two processes share the unpacking and the byte code, of
# which some is of templates and other versions of Python. What a new environment has already is replaced before.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 13) else \
	    "cogorch needs Python 3.11 or 3.12, %s is %d.%d; set PYTHON=..." % (sys.executable, *v))'
	@echo "Installing the locked environment into $(VENV) (one to three minutes the first time)"
	@$(PYTHON) -m venv $(VENV)
	@grep '^setuptools==' requirements.lock | xargs $(PIP) --no-deps
	@grep -v '^#\|^setuptools==' requirements.lock | xargs -n 25 -P 2 $(PIP) --no-deps --no-compile
	@$(PIP) --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -qq -j 2 $(abspath $(VENV))/lib || true
	@touch $@

demo: setup
	@$(BIN)/cogorch demo

ui: setup
	@$(BIN)/cogorch up

# The causal search is compiled beside the linters, which take one core; else each of the workers would compile it.
test: setup
	@$(BIN)/python -m cogorch_dagster.causal.discovery.ahead & ahead=$$!; \
	    $(MAKE) --no-print-directory lint; linted=$$?; wait $$ahead && exit $$linted
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

lock:
	@$(PYTHON) -m venv build/lock
	@build/lock/bin/python -m pip install --quiet --upgrade 'setuptools<81' '.[dev]'
	@{ head -n 1 requirements.lock; build/lock/bin/python -m pip freeze --all --exclude cogorch --exclude pip; } > build/lock.txt
	@mv build/lock.txt requirements.lock && rm -rf build/lock

clean:
	@if [ -x $(BIN)/cogorch ]; then $(BIN)/cogorch down; fi
	@rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@echo "The state under .cogorch is yours: remove it by hand if you want to."
