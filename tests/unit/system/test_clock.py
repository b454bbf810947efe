import time

from doubles.clock import FakeClock, FakeTime
from system.clock import Clock, WrappingClock

NOW = 1795239300
# 2025-01-01, and ten years later
EARLIEST_UNIX_S = 1735689600
LATEST_UNIX_S = EARLIEST_UNIX_S + 10 * 365 * 86400


def test_both_epochs_give_unix_seconds():
    for epoch in (1970, 2000):
        clock = Clock(FakeTime(epoch=epoch, unix_s=NOW))
        assert clock.unix_time() == NOW
        assert clock.utc_text() == "2026-11-21T05:35:00Z"


def test_a_date_outside_the_window_is_no_date():
    for unix_s in (0, 946684800, 1609459200, EARLIEST_UNIX_S - 1, LATEST_UNIX_S + 1):
        for epoch in (1970, 2000):
            clock = Clock(FakeTime(epoch=epoch, unix_s=unix_s))
            assert clock.unix_time() == 0
            assert clock.utc_text() == ""
    for unix_s in (EARLIEST_UNIX_S, LATEST_UNIX_S):
        assert Clock(FakeTime(unix_s=unix_s)).unix_time() == unix_s


def test_setting_the_time_counts_on_from_there():
    for epoch in (1970, 2000):
        clock = FakeClock(unix_s=946684800, epoch=epoch)
        assert clock.unix_time() == 0
        assert clock.set_unix_time(NOW)
        clock.advance(61000)
        assert clock.unix_time() == NOW + 61


def test_an_implausible_setting_changes_nothing():
    clock = FakeClock(unix_s=NOW)
    for unix_s in (0, -1, 2085978496, EARLIEST_UNIX_S - 1, LATEST_UNIX_S + 1):
        assert not clock.set_unix_time(unix_s)
        assert clock.unix_time() == NOW


def test_ticks_differ_rightly_across_the_wrap():
    for start in (0, (1 << 30) - 5, (1 << 29) - 5):
        clock = FakeClock(ticks=start)
        before = clock.ticks_ms()
        clock.advance(10)
        assert clock.ticks_diff(clock.ticks_ms(), before) == 10
        assert clock.ticks_diff(before, clock.ticks_ms()) == -10
        assert clock.ticks_add(before, 10) == clock.ticks_ms()


def test_uptime_outlives_the_wrap_and_ignores_the_wall_clock():
    clock = FakeClock(ticks=(1 << 30) - 1500)
    for day in range(1, 61):
        clock.advance(86400000)
        clock.jump(-3600 * day)
        assert clock.uptime_s() == day * 86400
    clock.advance(1234)
    assert clock.uptime_s() == 60 * 86400 + 1
    assert clock.uptime_remainder_ms == 234


def test_a_pc_can_have_the_ticks_of_a_board():
    source = FakeTime(period=1 << 40, unix_s=NOW, ticks=77777)
    clock = WrappingClock(1 << 10, 1020, source)
    first = clock.ticks_ms()
    assert first == 1020
    source.ticks += 10
    assert clock.ticks_ms() == 6
    assert clock.ticks_diff(clock.ticks_ms(), first) == 10
    assert clock.ticks_add(first, 10) == 6
    source.ticks += 500
    assert clock.uptime_s() == 0 and clock.uptime_remainder_ms == 510


def test_the_real_time_module_serves():
    clock = Clock()
    assert clock.ticks_diff(clock.ticks_ms(), clock.ticks_ms()) <= 0
    assert abs(clock.unix_time() - time.time()) < 2 or clock.unix_time() == 0
