"""What the firmware reads, damaged, on MicroPython: a value, or the error that is promised.

The failures of the past come first (corpus/), then damaged inputs. Those of a hub over MQTT are in
the fault table, F14 to F17. THERMO_FUZZ is how many of each, THERMO_SEED gives a run again.
"""

import os

import pytest
from fault import on_board
from fuzz import seeds

COUNT = int(os.environ.get("THERMO_FUZZ", "500"))
SEED = seeds.seed()
# What MicroPython keeps for ever of texts that it met, of a whole run
MOST_GROWTH = 4096
# Of the inputs, how many percent are at least half of what is right
LEAST_NEAR = 40
KINDS = [
    *[("files.py", kind) for kind in ("configuration", "store", "setpoints")],
    *[("frames.py", kind) for kind in ("sht4x", "bme280", "ds18b20")],
    *[("answers.py", kind) for kind in ("dps", "bags")],
]


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("script", "kind"), KINDS)
def test_damaged(script, kind):
    found = on_board.run(script, kind, COUNT, SEED, folder="fuzz", timeout=1700)
    assert found["bad"] == 0, f"seed {SEED}: {found['bad']} bad, the first: {found['first']}"
    assert found["replayed"] > 0
    assert 0 < found["taken"] < COUNT
    assert found["near"] * 100 >= LEAST_NEAR * COUNT
    assert found["growth"] <= MOST_GROWTH
