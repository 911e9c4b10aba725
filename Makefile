# `make study` runs the study, `make test` its tests. Each sets up .venv first where that is missing or out of date.
# Needed: Python 3.11 or newer, git, make, a package index. Another Python: make PYTHON=/path/to/python3.12 study

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
READY := .venv/.ready
# dvc finds `laureate` there; recipes name their tools in full, as an old make looks for them elsewhere
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# no service is asked anything while stages and tests run
export HF_HUB_OFFLINE := 1
export DVC_NO_ANALYTICS := 1

.PHONY: help setup fetch plan study app ranks replicate test test-e2e coverage fuzz faults mutants licences renew
.PHONY: check check-sd21 format clean

help: ## list the recipes
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## make .venv with the pinned packages

study: $(READY) ## run every stage that is out of date, then print the table; WORLD=nobel: of that world
	@$(if $(WORLD),.venv/bin/laureate world $(WORLD))
	@HF_HUB_OFFLINE=0 .venv/bin/laureate study

app: $(READY) ## open the study's page for trying, portraits and posters: an address for your browser
	@.venv/bin/laureate app

ranks: $(READY) ## one experiment per rank of a finished study, and one row of each
	@.venv/bin/laureate ranks
	@.venv/bin/dvc exp show --only-changed --drop '.*/'

replicate: $(READY) ## say whether the results agree with those in git
	@.venv/bin/laureate replicate

fetch: $(READY) ## bring the base model to its place, from the first source that has it
	@HF_HUB_OFFLINE=0 .venv/bin/laureate fetch

plan: $(READY) ## say what the study will do and cost
	@.venv/bin/laureate plan

test: $(READY) ## run the tests
	@.venv/bin/python -m pytest -n auto --dist loadfile --no-loadscope-reorder -m "not e2e"

test-e2e: $(READY) ## run the longest ones: every documented command, a study on a cluster whose nodes are lost
	@.venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m e2e

coverage: $(READY) ## run the tests and measure which lines and branches they reach, of started commands too
	@rm -rf .coverage .coverage.*
	@COVERAGE_FILE=$(CURDIR)/.coverage .venv/bin/coverage run -m pytest -n auto --dist loadfile --no-loadscope-reorder -m "not e2e"
	@.venv/bin/coverage combine --quiet
	@.venv/bin/coverage report

check: $(READY) ## lint, formatting, types, by way of the pre-commit hooks
	@.venv/bin/pre-commit run --all-files

fuzz: $(READY) ## feed every reader 10000 spoilt inputs, with a log: an hour; COUNT=100 for a minute
	@.venv/bin/python tests/helpers/fuzzed_readers.py $(or $(COUNT),10000)

faults: $(READY) ## let every write of every command fail once, in every way: hours
	@FAULT_POINTS=all DAMAGE=all .venv/bin/python -m pytest -n auto --dist load \
		tests/stages/test_failing_writes.py tests/stages/test_damaged_files.py

mutants: $(READY) ## change the scores' and readers' code in small ways and see whether tests notice: hours
	@.venv/bin/python -m pip install --quiet mutmut==3.8.1
	@.venv/bin/mutmut run && .venv/bin/mutmut results

licences: $(READY) ## list the licence of every package
	@.venv/bin/python .ci/dependencies.py licences

renew: $(READY) ## write constraints.txt anew with the newest versions that pyproject.toml admits
	@.venv/bin/python .ci/dependencies.py renew

check-sd21: $(READY) ## Stable Diffusion 2.1 in its true shape with random weights, through every step: 20 GiB, minutes
	@.venv/bin/python tests/check_sd21.py

format: $(READY) ## put the code into shape
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

clean: ## remove what can be made again: environment, caches, outputs that are not in git
	@rm -rf .venv .work .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@git clean -fdXq -- data models/lora metrics .dvc/tmp

# The stamp is written last: a set-up that was interrupted is taken up again.
$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "laureate needs Python 3.11 or newer with venv: make PYTHON=/path/to/python3 ..." >&2; exit 1; }
	@echo "Setting up .venv with $(PYTHON); this fetches a few hundred MB, or several GB with the CUDA build of torch"
	@$(PYTHON) -m venv .venv
	@.venv/bin/python -m pip install --quiet --constraint constraints.txt pip
	@.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	@.venv/bin/python -m pip install --quiet --constraint constraints.txt --no-deps --group app
	@touch $@
