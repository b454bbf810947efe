"""A tick of a room allocates nothing: decision, relay and history together."""

import gc

import micropython
from test_room import Bench


def test_a_tick_allocates_nothing():
    bench = Bench()
    for _ in range(5):
        bench.second()
    room = bench.room
    gc.collect()
    micropython.heap_lock()
    try:
        for _ in range(1000):
            room.regulate(1000)
    finally:
        micropython.heap_unlock()


def test_a_measurement_allocates_nothing():
    bench = Bench()
    bench.second()
    # The double's own reading allocates, the room's part around it must not
    bench.bus.readfrom_into = _fill_nothing
    micropython.heap_lock()
    try:
        for _ in range(100):
            bench.room.begin()
    finally:
        micropython.heap_unlock()


def _fill_nothing(address, buffer, stop=True):
    pass
