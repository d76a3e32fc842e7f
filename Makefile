# make demo: watch the main job.  make test: the tests.  make check: lint, types, tests.  make bench, make soak: the figures.
# Each sets up .venv by itself; Python 3.11 or newer, git and make are all it needs.
PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
TESTS ?= tests

.PHONY: demo test check lint types bench soak clean

demo: $(VENV)/.demo
	$(PY) -m a3s_code demo

test: $(VENV)/.test
	$(PY) -m pytest $(TESTS)

check: lint types test

lint: $(VENV)/.dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: $(VENV)/.dev
	$(PY) -m mypy
	$(PY) -m pyright --pythonpath $(PY)

bench: $(VENV)/.test
	$(PY) -m benchmarks

soak: export A3S_TEST_SCALE = 1
soak: test

$(VENV)/.demo: pyproject.toml setup.sh
	./setup.sh $(PYTHON) $(VENV) demo

$(VENV)/.test: pyproject.toml setup.sh
	./setup.sh $(PYTHON) $(VENV) test

$(VENV)/.dev: pyproject.toml setup.sh
	./setup.sh $(PYTHON) $(VENV) dev

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
