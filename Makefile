# Two commands matter: `make run` and `make test`. Everything they need is made under .venv/ and var/.
# Works with GNU make 3.81 (macOS) and later.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PYTEST := $(PY) -m pytest -q
# uv when the machine has it (seconds), else the pip inside .venv: the same locked, hashed versions either way.
UV := $(shell command -v uv 2>/dev/null)
ifeq ($(UV),)
PIP_INSTALL := $(PY) -m pip install --disable-pip-version-check --quiet
else
PIP_INSTALL := $(UV) pip install --quiet --python $(PY)
endif
# HOST counts only when given to make itself: some shells export their machine's name under it.
SERVE_FLAGS := $(if $(filter command line,$(origin HOST)),--host $(HOST)) $(if $(PORT),--port $(PORT))

.DEFAULT_GOAL := help
.PHONY: help run demo test test-long bench lint types format lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.run ## build the demo county if there is none, then serve it (PORT=8000, HOST=127.0.0.1, JIFEN_*)
	@test -f "$${JIFEN_HOME:-var}/demo.json" || $(PY) -m api demo
	@exec $(PY) -m api serve $(SERVE_FLAGS)

demo: $(VENV)/.run ## build the demo county (ARGS="--people 5000 --seed 7 --force")
	@$(PY) -m api demo $(ARGS)

test: $(VENV)/.test ## the test suite, PostgreSQL included (ARGS="-k ledger")
	@$(PYTEST) -n auto --dist loadfile --no-loadscope-reorder -m "not long" $(ARGS)

test-long: $(VENV)/.test ## the tests that take minutes: crashes by the dozen, long random histories
	@$(PYTEST) -m long -o faulthandler_timeout=3600 $(ARGS)

bench: $(VENV)/.test ## measure against the baselines, on SQLite and PostgreSQL
	@$(PY) -m benchmarks $(ARGS)

lint: $(VENV)/.test ## style, format and types
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m pyright

types: $(VENV)/.test ## types only
	@$(PY) -m pyright

format: $(VENV)/.test ## rewrite files to the house style
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

lock: ## resolve the dependencies again (needs uv; ARGS="--upgrade" for newer versions)
	@test -n "$(UV)" || { echo "make lock needs uv; see CONTRIBUTING.md" >&2; exit 2; }
	@$(LOCK) --group build $(ARGS) --output-file requirements.lock pyproject.toml
	@$(LOCK) --group build --group dev $(ARGS) --constraints requirements.lock --output-file requirements-dev.lock pyproject.toml

clean: ## remove .venv and caches; never var/, where the county lives
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +

# Names, versions and SHA-256 only: no address of the index they came from (docs/adr/0001-packaging.md).
LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

# --- the environment: each stamp is newer than what it was made from, so a second `make` does nothing ---

ENV := $(VENV)/pyvenv.cfg
# Not there, or left without its libraries by an upgrade of the machine's Python: made anew.
ifneq ($(shell $(PY) -c 'import pip; print("whole")' 2>/dev/null),whole)
.PHONY: $(ENV)
endif

$(ENV):
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed:  sudo apt-get install python3 python3-venv   (macOS: brew install python)" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Python 3.11 or newer is needed, and $(PYTHON) is older; name another:  make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	@$(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); \
	    echo "Python's venv module is missing:  sudo apt-get install python3-venv" >&2; exit 2; }

$(VENV)/.run: requirements.lock pyproject.toml $(ENV)
	@echo "installing what Jifen needs into $(VENV) ..."
	@$(PIP_INSTALL) --require-hashes -r requirements.lock
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.test: requirements-dev.lock pyproject.toml $(ENV)
	@echo "installing what Jifen and its tests need into $(VENV) ..."
	@$(PIP_INSTALL) --require-hashes -r requirements-dev.lock
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $(VENV)/.run $@
