# Four commands: make demo, make test, make check, make bench. Each makes the virtual environment when it is missing.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
LABTEST := $(BIN)/python -m pytest -m lab --reruns 2 --verbose --no-header

.PHONY: demo test test-lab test-commands test-makes check types bench clean

demo: $(STAMP)
	@./.ci/system-packages --optional
	@$(BIN)/switchguard lab demo

# Three labs at a time, the usual one twice and those of other makes: they mostly wait.
test: $(STAMP)
	@./.ci/system-packages --optional --tests
	$(BIN)/python -m pytest tests -m "not lab" -n 2
	@$(MAKE) --no-print-directory -j3 test-lab test-commands test-makes

test-lab: $(STAMP)
	$(BIN)/switchguard lab run $(LABTEST) tests/lab --ignore-glob='*/test_e2e_*'

test-commands: $(STAMP)
	$(BIN)/switchguard lab run $(LABTEST) tests/lab/test_e2e_*.py

test-makes: $(STAMP)
	$(BIN)/switchguard lab run --switch sw1=juniper_junos --switch sw2=juniper_junos $(LABTEST) tests/lab/test_e2e_makes.py
	$(BIN)/switchguard lab run --switch sw1=cisco_nxos --switch sw2=cisco_nxos $(LABTEST) tests/lab/test_e2e_makes.py
	$(BIN)/switchguard lab run --switch sw1=mikrotik_routeros --switch sw2=mikrotik_routeros $(LABTEST) tests/lab/test_e2e_makes.py tests/lab/test_e2e_routeros.py
	$(BIN)/switchguard lab run --switch sw1=hp_procurve --switch sw2=hp_procurve $(LABTEST) tests/lab/test_e2e_makes.py tests/lab/test_e2e_procurve.py
	$(BIN)/switchguard lab run --switch gw=vyos $(LABTEST) tests/lab/test_e2e_vyos.py

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
