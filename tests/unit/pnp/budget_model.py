"""What the models cost in heap, while they are read and afterwards.

Figures of the 64-bit unix port; a board's objects have about half the size. Measured: the
controller keeps 4.0 KB and needs 10.5 KB at its peak, the thermostat 1.4 KB and 8.8 KB. The
limits below stand a little above.
"""

import gc

from doubles.models import CONTROLLER, THERMOSTAT, open_text
from pnp.model import load


class Meter:
    """Opens the files, and sees before each how much was in use since the last: the peak."""

    def __init__(self):
        self.peak = 0
        gc.collect()
        gc.disable()
        self.before = gc.mem_alloc()

    def open_text(self, dtmi):
        self.look()
        return open_text(dtmi)

    def look(self):
        """What is in use, garbage included; then without."""
        self.peak = max(self.peak, gc.mem_alloc() - self.before)
        gc.collect()
        return gc.mem_alloc() - self.before


def warm_up(dtmi):
    """Load once before anything is counted, and leave no trace of it where the stack is read."""
    load(dtmi, open_text)
    return [0] * 64


def cost(dtmi):
    """(bytes kept, bytes in use at the peak) by loading `dtmi`."""
    warm_up(dtmi)
    meter = Meter()
    model = load(dtmi, meter.open_text)
    kept = meter.look()
    gc.enable()
    assert model[0][1].dtmi == dtmi
    print("model %s: keeps %d, peak %d" % (dtmi, kept, meter.peak))
    return kept, meter.peak


def test_the_controller():
    kept, peak = cost(CONTROLLER)
    assert kept <= 4400
    assert peak <= 11500


def test_the_thermostat():
    kept, peak = cost(THERMOSTAT)
    assert kept <= 1600
    assert peak <= 9700
