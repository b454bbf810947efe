import gc

from simulated.ticks import WrappingTime
from system.clock import Clock


def test_asking_for_ticks_and_uptime_costs_no_heap():
    for clock in (Clock(), Clock(WrappingTime(1 << 30))):
        start = clock.ticks_ms()
        gc.collect()
        gc.disable()
        before = gc.mem_alloc()
        for _ in range(1000):
            clock.ticks_diff(clock.ticks_add(clock.ticks_ms(), 5), start)
            clock.uptime_s()
        used = gc.mem_alloc() - before
        gc.enable()
        assert used <= 64, used
