# Four commands: make demo, make test, make check, make bench. Each makes the virtual environment when it is missing.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: demo test check types bench clean

demo: $(STAMP)
	@./.ci/system-packages --optional
	@$(BIN)/switchguard lab demo

test: $(STAMP)
	@./.ci/system-packages --optional --tests
	$(BIN)/python -m pytest tests -m "not lab"
	$(BIN)/switchguard lab run $(BIN)/python -m pytest tests/lab -m lab --reruns 2

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(MAKE) --no-print-directory types
	$(BIN)/python -m pytest tests -m "not lab" --cov --cov-report=term:skip-covered
	$(BIN)/coverage report --include='switchguard/core/*' --fail-under=95 --skip-covered

# One folder of tests at a time: each has a conftest.py of its own.
types: $(STAMP)
	$(BIN)/mypy switchguard drivers inventory benchmarks tests/*.py
	for folder in tests/*/; do [ "$$folder" = tests/recordings/ ] || $(BIN)/mypy "$$folder" || exit 1; done

bench: $(STAMP)
	$(BIN)/python -m benchmarks

$(STAMP): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "switchguard needs Python 3.11 or newer; try make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || ./.ci/system-packages --python
	@echo "Making the virtual environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]' -c constraints.txt
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .coverage
