import gc

from doubles.clock import FakeClock
from doubles.fs import FakeFlash
from doubles.log import FakeLog
from thermostat.setpoints import SetPoints


def test_polling_without_a_change_costs_no_heap():
    points = SetPoints("s.json", FakeClock(), FakeLog(), FakeFlash())
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(1000):
        points.poll()
        points.get("a", 2100)
    used = gc.mem_alloc() - before
    gc.enable()
    assert used <= 64, used
