import gc

from doubles.clock import FakeClock
from thermostat.history import History


def test_adding_costs_no_heap_and_a_zone_takes_less_than_six_kilobytes():
    clock = FakeClock(unix_s=0)
    gc.collect()
    before = gc.mem_alloc()
    history = History(clock)
    gc.collect()
    kept = gc.mem_alloc() - before
    assert kept < 6000, kept
    gc.disable()
    before = gc.mem_alloc()
    for number in range(3000):
        history.add(2000 + number % 50)
        clock.advance(7000)
    used = gc.mem_alloc() - before
    gc.enable()
    assert used <= 96, used
