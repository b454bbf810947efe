"""What the reader of models costs, and that it goes when it is forgotten."""

import gc
import sys

import pnp
from doubles.models import CONTROLLER, open_text


def read():
    from pnp.model import load

    return load(CONTROLLER, open_text)


def forget():
    del sys.modules["pnp.model"]
    delattr(pnp, "model")


def in_use():
    """Heap in use, after calls that leave no old references where the stack is read."""
    for _ in range(3):
        sum([0] * 256)
        gc.collect()
    return gc.mem_alloc()


def test_the_reader_can_be_forgotten():
    model = read()
    before = in_use()
    forget()
    freed = before - in_use()
    print("without its reader a model leaves %d bytes more" % freed)
    assert freed >= 3000, freed
    assert model[1][1].properties["targetTemperature"] == ("double", True)
