# Four commands: make demo, make test, make check, make bench. Each makes the virtual environment when it is missing.
unexport PYTHONDONTWRITEBYTECODE  # compiled modules are kept: commands start in half the time
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
LABRUN := $(BIN)/switchguard lab run
LABTEST := $(BIN)/python -m pytest -m lab --reruns 2 -rR

# Each takes minutes; those that take longest come first.
LABS := lab-faults lab-loop lab-network lab-commands lab-story lab-routeros lab-junos lab-nxos lab-procurve lab-vyos
LAB := tests/lab/test_

.PHONY: demo test $(LABS) check types bench clean

demo: $(STAMP)
	@./.ci/system-packages --optional
	@$(BIN)/switchguard lab demo

# Four labs at a time: they mostly wait.
test: $(STAMP)
	@./.ci/system-packages --optional --tests
	$(BIN)/python -m pytest tests -m "not lab" -n 4 --dist worksteal
	@echo "$(words $(LABS)) labs, each of which tells at its end; together about eight minutes ..."
	@$(MAKE) --no-print-directory --output-sync=target -j4 $(LABS)

lab-faults: $(STAMP)
	$(LABRUN) $(LABTEST) $(LAB)e2e_faults.py $(LAB)e2e_service.py

lab-loop: $(STAMP)
	$(LABRUN) $(LABTEST) $(LAB)penalties.py $(LAB)pursuit.py $(LAB)stream.py $(LAB)vpn.py

lab-network: $(STAMP)
	$(LABRUN) $(LABTEST) $(wildcard $(LAB)lab_*.py)

lab-commands: $(STAMP)
	$(LABRUN) $(LABTEST) $(LAB)e2e_by_hand.py $(LAB)e2e_mistakes.py

lab-story: $(STAMP)
	$(LABRUN) $(LABTEST) $(LAB)e2e_story.py $(LAB)e2e_json.py $(LAB)e2e_landing.py $(LAB)e2e_iptables.py

# The same with switches or a gateway of another make.
lab-junos: $(STAMP)
	$(LABRUN) --switch sw1=juniper_junos --switch sw2=juniper_junos $(LABTEST) $(LAB)e2e_makes.py

lab-nxos: $(STAMP)
	$(LABRUN) --switch sw1=cisco_nxos --switch sw2=cisco_nxos $(LABTEST) $(LAB)e2e_makes.py $(LAB)e2e_nxapi.py

lab-routeros: $(STAMP)
	$(LABRUN) --switch sw1=mikrotik_routeros --switch sw2=mikrotik_routeros $(LABTEST) $(LAB)e2e_makes.py $(LAB)e2e_routeros.py

lab-procurve: $(STAMP)
	$(LABRUN) --switch sw1=hp_procurve --switch sw2=hp_procurve $(LABTEST) $(LAB)e2e_makes.py $(LAB)e2e_procurve.py

lab-vyos: $(STAMP)
	$(LABRUN) --switch gw=vyos $(LABTEST) $(LAB)e2e_vyos.py

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(MAKE) --no-print-directory types
	$(BIN)/python -m pytest tests -m "not lab" -n 4 --dist worksteal --cov --cov-report=term:skip-covered
	$(BIN)/coverage report --include='switchguard/core/*' --fail-under=95 --skip-covered

# One folder of tests at a time: each has a conftest.py of its own.
types: $(STAMP)
	$(BIN)/mypy switchguard drivers inventory benchmarks tests/*.py
	for folder in $(sort $(dir $(wildcard tests/*/*.py))); do $(BIN)/mypy "$$folder" || exit 1; done

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
