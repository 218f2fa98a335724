.DEFAULT_GOAL := help
.PHONY: help setup run test soak lint type fmt lock clean

PYTHON ?= python3
BIN := .venv/bin

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: setup  ## Delete about 25 of 400 simulated users through the real template, end to end
	@$(BIN)/python -m local run $(ARGS)

test: setup lint type  ## Check everything: style, types, all tests
	$(BIN)/python -m pytest

soak: setup  ## Delete 1,000 users under every fault at once, functions killed, executions aborted
	@$(BIN)/python -m local soak $(ARGS)

lint: setup  ## Check style, and the template with cfn-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/cfn-lint template.yaml

type: setup  ## Check types
	$(BIN)/mypy

fmt: setup  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: .venv/installed .venv-ministack/installed  ## Install what run and test need (they call it)

# A stamp written last: an interrupted installation is begun again.
.venv/installed: requirements/dev.txt layers/shared/requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv-ministack/installed: requirements/ministack.txt
	$(PYTHON) -m venv .venv-ministack
	.venv-ministack/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements/ministack.txt
	@touch $@

LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
lock:  ## Pin every requirement anew, with hashes (needs uv)
	$(LOCK) layers/shared/requirements.in --output-file layers/shared/requirements.txt
	$(LOCK) requirements/dev.in --constraint layers/shared/requirements.txt --output-file requirements/dev.txt
	$(LOCK) requirements/ministack.in --output-file requirements/ministack.txt

clean:  ## Remove what set-up, builds and runs left here
	rm -rf .venv .venv-ministack .local out .pytest_cache .mypy_cache .ruff_cache .hypothesis
