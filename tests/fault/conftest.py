"""Fault tests: each is named by its row of the fault table, `test_f13_...`.

THERMO_FAULT=full       everything, as `make fault` does; otherwise a sample
THERMO_FAULT_SEED=N     other random faults than usual, or those of a run that was red
"""

import os
import random
import sys

import pytest
import unit.conftest  # noqa: F401 - what MicroPython has and CPython lacks
from fault import ledger

SIZE = os.environ.get("THERMO_FAULT", "sample")
SEED = int(os.environ.get("THERMO_FAULT_SEED", "1"))
_LEDGERS = {}


class Chance(random.Random):
    """Random numbers in the words that the firmware's doubles use."""

    def below(self, n):
        return self.randrange(n)


@pytest.fixture
def full():
    return SIZE == "full"


@pytest.fixture
def chance(request):
    """The same numbers for the same seed, whichever tests run besides."""
    return Chance(f"{SEED} {request.node.name}")


@pytest.fixture
def row(request):
    """row(bar, value, ok): what was asked of this row and what was found; fails unless `ok`."""

    def record(bar, value, ok):
        _record(request.node, bar, value, ok)
        request.node.is_recorded = True
        assert ok, f"asked: {bar}; found: {value}"

    return record


def _record(node, bar, value, ok):
    module = node.path.stem
    if module not in _LEDGERS:
        _LEDGERS[module] = ledger.Ledger(module, SIZE, SEED)
    _LEDGERS[module].add(node.name, node.name.split("_")[1].upper(), bar, value, ok)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when != "call" or not report.failed or "row" not in item.fixturenames:
        return
    if not getattr(item, "is_recorded", False):
        text = str(call.excinfo.value).split("\n")[0][:200]
        _record(item, "ends", f"{call.excinfo.typename}: {text}", False)
    name = f"THERMO_FAULT={SIZE} THERMO_FAULT_SEED={SEED}"
    command = f"{name} {os.path.relpath(sys.executable)} -m pytest '{item.nodeid}'"
    report.sections.append(("Again", command))


def pytest_sessionfinish():
    if _LEDGERS:
        ledger.publish()


def pytest_terminal_summary(terminalreporter):
    if _LEDGERS:
        terminalreporter.write_line(f"Faults: {SIZE}, seed {SEED}; see build/faults.html")
