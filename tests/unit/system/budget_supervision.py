import gc

from doubles.clock import FakeClock
from doubles.log import FakeLog
from system.supervision import Supervisor


def test_checking_in_and_looking_after_cost_no_heap():
    clock = FakeClock()
    supervisor = Supervisor(clock, FakeLog(), None, None)
    for name in ("control", "network", "telemetry"):
        supervisor.add(name, None, 5000)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(1000):
        supervisor.alive(0)
        supervisor.alive(2)
        supervisor.all_alive()
    used = gc.mem_alloc() - before
    gc.enable()
    assert used <= 64, used
