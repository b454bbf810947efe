import time

from expect import raises
from system.rfc3339 import format_utc, parse_utc


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
