"""What telemetry and a silent twin cost in heap: nothing."""

import gc

import micropython
from doubles.appliance import Bench
from doubles.session import FakeSession
from pnp.telemetry import Telemetry


def locked(work):
    """Run `work()` with the heap locked: a MemoryError tells of the first byte allocated."""
    work()
    gc.collect()
    micropython.heap_lock()
    try:
        work()
    finally:
        micropython.heap_unlock()


def test_sending_allocates_nothing():
    session = FakeSession()
    bench = Bench()
    zone = Telemetry(session, bench.device.component("thermostat1"), ("temperature",), (2,))
    root = Telemetry(session, bench.device.component(), ("workingSet",), (1,))

    def work():
        zone.values[0] = -2155
        zone.send()
        root.values[0] = 2600000
        root.send()
        root.values[0] = None
        root.send()

    locked(work)
    assert session.text() == '{"workingSet":260000}'


def test_a_million_values_leave_nothing_behind():
    session = FakeSession()
    zone = Telemetry(session, Bench().device.component("thermostat1"), ("temperature",), (2,))
    gc.collect()
    before = gc.mem_alloc()
    gc.disable()
    for i in range(10000):
        zone.values[0] = i - 5000
        zone.send()
    gc.enable()
    assert gc.mem_alloc() == before


def test_asking_for_a_report_when_there_is_none_allocates_nothing():
    bench = Bench()
    bench.hub.connect()
    locked(bench.device.next_report)
