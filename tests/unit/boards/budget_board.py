"""What the simulated board takes of the 256 KB that the firmware gets, and what it must not."""

import gc
import os
import time

import micropython

# Python code and objects that stay; figures of a 64-bit host.
_KEPT_BYTES = 40 * 1024


def test_switching_a_heater_allocates_nothing():
    from simulated.heater import HeaterPin

    pin = HeaterPin(time)
    micropython.heap_lock()
    try:
        pin.value(1)
        pin.value()
        pin.value(0)
    finally:
        micropython.heap_unlock()


class _Wire:
    """A stream whose every answer is 0: done, and nothing follows."""

    def write(self, data):
        pass

    def readinto(self, buffer):
        buffer[0] = buffer[1] = 0


def test_switching_a_relay_through_the_cable_allocates_nothing():
    """Ctrl-C is a signal here, and the unix port may leave a collection half way for it: the heap
    stays locked, and the relays go off all the same."""
    from simulated.cable import Remote

    pin = Remote(_Wire(), _Wire()).pin(0)
    micropython.heap_lock()
    try:
        pin.value(1)
        pin.value(0)
    finally:
        micropython.heap_unlock()


def test_the_board_leaves_the_heap_to_the_firmware():
    os.putenv("THERMO_DATA", "build/tests/board-budget")
    gc.collect()
    before = gc.mem_alloc()
    import board

    board.i2c(0)
    board.i2c(1)
    gc.collect()
    kept = gc.mem_alloc() - before
    assert kept <= _KEPT_BYTES, kept


def test_a_year_of_weather_does_not_stay_in_memory():
    from simulated.outside import Outside

    path = "build/tests/year.csv"
    import board

    board._make_folder("build/tests")
    with open(path, "w") as file:
        file.write("date,temp\n")
        for hour in range(8759):
            file.write("2010/01/01 00:00,%d.5\n" % (30 + hour % 40))
    gc.collect()
    before = gc.mem_alloc()
    outside = Outside(path, 8000)
    for hour in range(0, 2000, 10):
        outside.temperature_c(hour * 3600)
    gc.collect()
    assert gc.mem_alloc() - before < 1024
