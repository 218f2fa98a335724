.DEFAULT_GOAL := help
.PHONY: help setup run unit test coverage explore bench soak mutants lint type fmt lock clean build validate deploy rehearse check-iac audit sbom

# What is deployed runs on Python 3.13 (docs/adr/0016-runtime.md), so that is what it is tested with
# if it is installed. It may be found but not run: pyenv keeps a shim for each version it ever had.
ifeq ($(origin PYTHON), undefined)
PYTHON := $(shell python3.13 -c '' 2>/dev/null && echo python3.13 || echo python3)
endif
BIN := .venv/bin
SAM := SAM_CLI_TELEMETRY=0 .venv-sam/bin/sam
ENV ?= dev
CONFIG ?= samconfig.toml

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: setup  ## Delete about 25 of 400 simulated users through the real template, end to end
	@$(BIN)/python -m local run $(ARGS)

STEPS := $(patsubst functions/%/app.py,%,$(wildcard functions/*/app.py))
SHARED := due evidence leaver_rows ledger_outcomes observability resume_and_close roster \
    sealed_plans stop_button waiting watch withdraw_and_enable
UNIT := tests/rules tests/sources tests/test_*.py $(patsubst %,tests/functions/test_%.py,$(STEPS) $(SHARED))
unit: setup  ## Check what a change is likely to break: rules, sources, portal, steps, leavers
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal -m "not thorough" $(UNIT)

test: setup .venv-sam/installed lint type  ## Check everything: style, types, all tests
	@$(BIN)/python --version
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

coverage: setup  ## Show which branches of rules and steps the fast tests and the thorough ones take
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal --cov --cov-report=term-missing:skip-covered $(UNIT) tests/functions

explore: setup  ## Run two or three steps side by side in every order, with crashes (half an hour)
	@$(BIN)/python -m tests.interleavings $(ARGS)

soak: setup  ## Delete 1,000 users under every fault at once, functions killed, executions aborted
	@$(BIN)/python -m local soak $(ARGS)

bench: setup  ## Measure time, cost and size against their targets (20 minutes; PYTHON=… as deployed)
	@$(BIN)/python -m benchmarks $(ARGS)

mutants: setup  ## Change the code at random in 200 places, and show which test of make unit notices
	@$(BIN)/python -m local.mutants $(ARGS) $(UNIT)

lint: setup  ## Check style, spelling, and the template with cfn-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/cfn-lint template.yaml

type: setup  ## Check types
	$(BIN)/mypy

# Functions are packaged as they are, so what importing them left behind goes first.
build: .venv-sam/installed  ## Build what is deployed, with the SAM CLI
	@find functions -name __pycache__ -prune -exec rm -rf {} +
	$(SAM) build

validate: .venv-sam/installed  ## Check the template as the SAM CLI does
	AWS_DEFAULT_REGION=us-east-1 $(SAM) validate --lint

deploy: build  ## Deploy the build to AWS: ENV=dev or prod, CONFIG=a samconfig.toml, ARGS=--guided the first time
	@$(PYTHON) -m local.check_name $(ENV) --config-file $(abspath $(CONFIG)) $(ARGS)
	$(SAM) deploy --config-file $(abspath $(CONFIG)) --config-env $(ENV) $(ARGS)

rehearse: setup build validate  ## Deploy the build on emulated AWS, run, update, run again, remove
	@$(BIN)/python -m local rehearse .aws-sam/build

check-iac: .venv-security/installed  ## Check the template with checkov
	.venv-security/bin/checkov --file template.yaml --framework cloudformation --compact --quiet --skip-download

audit: .venv-security/installed  ## Check the locked versions against known vulnerabilities (needs the Internet)
	for lock in layers/shared/requirements.txt requirements/*.txt; do \
		.venv-security/bin/pip-audit --strict --disable-pip --require-hashes --requirement $$lock || exit 1; \
	done

sbom: .venv-security/installed  ## Write the functions' bill of materials to out/sbom.json
	@mkdir -p out
	.venv-security/bin/cyclonedx-py requirements layers/shared/requirements.txt --output-reproducible -o out/sbom.json

fmt: setup  ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: .venv/installed .venv-ministack/installed  ## Install what run and test need (they call it)

# Each lock is complete, so nothing is resolved: pip would look for newer versions of what a package
# requires with an extra, and fail because they are not locked.
INSTALL := python -m pip install --quiet --disable-pip-version-check --no-deps

# A stamp written last: an interrupted installation starts again.
.venv/installed: requirements/dev.txt layers/shared/requirements.txt
	@echo "Setting up with $$($(PYTHON) --version) ($(PYTHON); another one: make clean, then make PYTHON=…)"
	$(PYTHON) -m venv .venv
	$(BIN)/$(INSTALL) --require-hashes --requirement requirements/dev.txt
	$(BIN)/$(INSTALL) --no-build-isolation --editable .
	@touch $@

.venv-ministack/installed .venv-sam/installed .venv-security/installed: .venv-%/installed: requirements/%.txt
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/$(INSTALL) --require-hashes --requirement $<
	@touch $@

LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
lock:  ## Pin every requirement again, with hashes (needs uv)
	$(LOCK) layers/shared/requirements.in --output-file layers/shared/requirements.txt
	$(LOCK) requirements/dev.in --constraint layers/shared/requirements.txt --output-file requirements/dev.txt
	$(LOCK) requirements/ministack.in --output-file requirements/ministack.txt
	$(LOCK) requirements/sam.in --output-file requirements/sam.txt
	$(LOCK) requirements/security.in --output-file requirements/security.txt

clean:  ## Remove what set-up, builds and runs left here
	rm -rf .venv .venv-* .local .aws-sam out .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
