import time

from doubles.clock import FakeClock, FakeTime
from expect import raises
from simulated.ticks import WrappingTime
from system.clock import Clock, format_utc
from system.dates import parse_utc

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
        clock.set_unix_time(NOW)
        clock.advance(61000)
        assert clock.unix_time() == NOW + 61


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
    clock = Clock(WrappingTime(1 << 10, 1020, source))
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


def test_known_dates_both_ways():
    for unix_s, text in (
        (0, "1970-01-01T00:00:00Z"),
        (951782400, "2000-02-29T00:00:00Z"),
        (1795239300, "2026-11-21T05:35:00Z"),
        (4102444800, "2100-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59Z"),
    ):
        assert format_utc(unix_s) == text
        assert parse_utc(text) == unix_s


def test_every_day_of_four_centuries_agrees_with_the_calendar():
    for day in range(-30000, 120000, 7):
        assert parse_utc(format_utc(day * 86400 + 43201)) == day * 86400 + 43201
    for unix_s in range(0, 4000000000, 86399 * 101):
        assert format_utc(unix_s)[:10] == "%04d-%02d-%02d" % tuple(time.gmtime(unix_s)[:3])


def test_fractions_zones_and_none():
    for text in (
        "2026-11-21T05:35:00Z",
        "2026-11-21T05:35:00",
        "2026-11-21t05:35:00z",
        "2026-11-21 05:35:00.999Z",
        "2026-11-21T05:35:00.123456+00:00",
        "2026-11-21T07:05:00+01:30",
        "2026-11-20T21:35:00-08:00",
    ):
        assert parse_utc(text) == 1795239300, text


def test_a_leap_second_is_the_next_second():
    assert parse_utc("2016-12-31T23:59:60Z") == parse_utc("2017-01-01T00:00:00Z")


def test_what_is_no_date_time_is_refused():
    for text in (
        "",
        "now",
        "2026-11-21",
        "2026-11-21T05:35",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-11-21T24:00:00Z",
        "2026-11-21T05:60:00Z",
        "2026-11-21T05:35:61Z",
        "2026-11-21T05:35:00.Z",
        "2026-11-21T05:35:00+0100",
        "2026-11-21T05:35:00+24:00",
        "2026-11-21T05:35:00ZZ",
        "2026-11-21T05:35:00 Z",
        "+026-11-21T05:35:00Z",
        "2026-11-21X05:35:00Z",
        "2026-11-21T05-35:00Z",
        "2026-11-21T05:35-00Z",
        "2026-11-21T05:35:00." + "1" * 60,
        "\u0662026-11-21T05:35:00Z",
        1795239300,
        None,
        [],
    ):
        with raises(ValueError):
            parse_utc(text)
