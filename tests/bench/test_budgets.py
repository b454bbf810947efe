"""No byte count of the firmware passes what it is held to."""

import pytest

from host_tools.simulated_device import parts
from tests.bench import day, device, whole, wire
from tests.bench.rows import BUDGETS, row


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    rows = device.rows(publishes=3000, patches=500) + day.rows()
    rows += wire.byte_rows(parts(), tmp_path_factory.mktemp("wire"))
    return {each["name"]: each for each in rows}


@pytest.mark.parametrize("name", [name for name in BUDGETS if "held" in BUDGETS[name]])
def test_a_count_is_within_what_it_is_held_to(found, name):
    assert found[name]["value"] <= BUDGETS[name]["held"], found[name]


def test_what_is_needed_on_demand_exists():
    names = device.ON_DEMAND | device.NOT_FITTED
    missing = [n for n in names if not (device.ROOT / "firmware" / (n + ".py")).exists()]
    assert not missing


def test_what_is_needed_on_demand_leaves_the_heap_again():
    of_all = device.ON_DEMAND | {"thermostat/room"}
    assert whole.staying(of_all) == {"thermostat/room"}


def test_a_figure_beyond_its_budget_is_told():
    assert row("token_garbage", 1500)["ok"] is True
    assert row("token_garbage", 1501)["ok"] is False


def test_a_budget_may_be_a_peers_figure():
    assert row("command_p99", 9.9, "another", 10)["ok"] is True
    assert row("command_p99", 10.1, "another", 10)["ok"] is False
    assert row("telemetry_rate", 190, "another", 100)["ok"] is False
    assert row("telemetry_rate", 190)["ok"] is None
