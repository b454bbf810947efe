import gc

from doubles.clock import FakeClock
from doubles.fs import FakeFlash
from doubles.log import FakeLog
from system.store import Store
from thermostat.setpoints import SetPoints, check


def test_polling_without_a_change_costs_no_heap():
    points = SetPoints(Store("s.json", FakeFlash(), check), FakeClock(), FakeLog(), ("a",))
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(1000):
        points.poll()
        points.get("a", 2100)
    used = gc.mem_alloc() - before
    gc.enable()
    assert used <= 64, used
