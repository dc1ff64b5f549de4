# Everything a stranger needs: `make demo`, `make test`. Only make and Python 3.11+ are asked for.
SHELL := /bin/sh
.DEFAULT_GOAL := help
VENV ?= .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
EXTRAS := lab,sandbox,dev
STAMP := $(VENV)/.installed
PRISM := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/opslib/prism

.PHONY: help setup demo test prism lab lint format bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "opslib needs Python 3.11 or newer: install it, or name it with make PYTHON=/path/to/python3" >&2; exit 64; }
	@echo "setting up $(VENV) with $(PYTHON) (a minute or two, only when pyproject.toml changed)"
	@if command -v uv >/dev/null 2>&1; then \
		uv venv -q --allow-existing --python "$(PYTHON)" $(VENV) && uv pip install -q --python $(BIN)/python -e '.[$(EXTRAS)]'; \
	else \
		"$(PYTHON)" -m venv $(VENV) && $(BIN)/python -m pip install -q --disable-pip-version-check -e '.[$(EXTRAS)]'; \
	fi
	@$(BIN)/opslib kernels install >/dev/null
	@touch $@

setup: $(STAMP) ## make .venv with everything in it

demo: $(STAMP) ## start the sandbox, run a routine and a broken system, open the report
	@$(BIN)/python -m opslib.demo

test: lint ## lint with the tests of the layout, then every other test
	@$(BIN)/python -m pytest --ignore tests/test_layout.py

prism: ## put Prism into the user's cache, for the tests of the vendors' contracts; asks for npm
	@npm install --silent --no-audit --no-fund --prefix "$(PRISM)" @stoplight/prism-cli@5.14.2

lab: $(STAMP) ## JupyterLab on the notebooks
	@$(BIN)/opslib lab

lint: $(STAMP) ## ruff, mypy --strict, import layers, sizes
	@$(BIN)/ruff check opslib tests bench
	@$(BIN)/ruff format --check -q opslib tests bench
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/python -m pytest tests/test_layout.py -n 0

format: $(STAMP) ## let ruff put the code in order
	@$(BIN)/ruff check -q --fix opslib tests bench
	@$(BIN)/ruff format -q opslib tests bench

bench: $(STAMP) ## speed against plain papermill, measured in the same run
	@$(BIN)/python -m bench

clean: ## remove what was built; records in archive/ stay
	@$(BIN)/opslib sandbox down >/dev/null 2>&1 || true
	@rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
