# demo · test · lint; each makes its own .venv when there is none. Needs Python 3.11 or newer, with venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Tests run side by side: one thread each for the linear algebra underneath.
ONE_THREAD := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1

.PHONY: help demo test lint format clean

help:
	@echo "make demo    see the tutorial's network learn, then train on a real table"
	@echo "make test    run every test"
	@echo "make lint    check format, style and types"
	@echo "make format  format the code"

demo: $(VENV)/.installed
	$(BIN)/nineline demo

test: $(VENV)/.developing
	$(ONE_THREAD) $(BIN)/python -m pytest -n auto $(ARGS)

lint: $(VENV)/.developing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(VENV)/.developing
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache

$(VENV)/.created:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'nineline needs Python 3.11 or newer; say which: make PYTHON=python3.12')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.developing: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --group dev
	touch $@
