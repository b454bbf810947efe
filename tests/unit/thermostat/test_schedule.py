from doubles.clock import FakeClock
from thermostat.cloud import Schedule


def make():
    clock = FakeClock()
    return clock, Schedule(clock, 60_000, 20, 10_000)


def test_the_first_value_is_due_at_once():
    _, schedule = make()
    assert schedule.is_due(2100)


def test_an_unmoved_value_is_due_after_the_period():
    clock, schedule = make()
    schedule.note_sent(2100)
    clock.advance(59_999)
    assert not schedule.is_due(2100)
    clock.advance(1)
    assert schedule.is_due(2100)


def test_a_moved_value_is_due_sooner_but_not_at_once():
    clock, schedule = make()
    schedule.note_sent(2100)
    clock.advance(9_999)
    assert not schedule.is_due(2120)
    clock.advance(1)
    assert schedule.is_due(2120)
    assert schedule.is_due(2080)
    assert not schedule.is_due(2119)


def test_the_wrap_of_ticks_changes_nothing():
    clock, schedule = make()
    clock.advance((1 << 30) - 5_000 - clock.ticks_ms())
    schedule.note_sent(2100)
    clock.advance(10_000)
    assert not schedule.is_due(2100)
    assert schedule.is_due(2120)
    clock.advance(50_000)
    assert schedule.is_due(2100)


def test_without_a_delta_time_alone_counts():
    clock = FakeClock()
    schedule = Schedule(clock, 60_000, 0, 0)
    schedule.note_sent(1)
    clock.advance(59_999)
    assert not schedule.is_due(1)
    assert not schedule.is_due(99)
    clock.advance(1)
    assert schedule.is_due(1)
