"""Dates as RFC 3339 text and as Unix seconds, by the calendar's own arithmetic.

`time.gmtime` is not used: it counts from 2000 on some boards and from 1970 on others.
Sources: RFC 3339 §5.6 (grammar); the Gregorian rule of leap years.
"""

from micropython import const

_DAY_S = const(86400)
# Days of one 400-year cycle, and from 0000-03-01 to 1970-01-01 in the Gregorian calendar
_CYCLE_DAYS = const(146097)
_DAYS_TO_1970 = const(719468)
_MONTH_DAYS = const(b"\x1f\x1c\x1f\x1e\x1f\x1e\x1f\x1f\x1e\x1f\x1e\x1f")
# The longest that any known SDK writes is 32 ("2026-11-21T05:35:00.123456+00:00" and the like)
_LONGEST = const(40)


def format_utc(unix_s):
    """`2026-11-21T05:35:00Z` for `unix_s` (int, seconds since 1970, from 0000 to 9999)."""
    days = unix_s // _DAY_S
    second = unix_s - days * _DAY_S
    days += _DAYS_TO_1970
    cycle = days // _CYCLE_DAYS
    day = days - cycle * _CYCLE_DAYS
    # Years are counted from March, so that the leap day is a year's last day
    year = (day - day // 1460 + day // 36524 - day // 146096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    day -= (153 * month + 2) // 5 - 1
    month += 3
    if month > 12:
        month -= 12
        year += 1
    return "%04d-%02d-%02dT%02d:%02d:%02dZ" % (
        year + 400 * cycle,
        month,
        day,
        second // 3600,
        second // 60 % 60,
        second % 60,
    )


def parse_utc(text):
    """Unix seconds (int, rounded down) of an RFC 3339 date-time.

    The zone may be `Z`, an offset, or missing, which means UTC; a fraction may follow the
    seconds. Raises ValueError for anything else, also for a day that the calendar has not.
    """
    if not isinstance(text, str) or not 19 <= len(text) <= _LONGEST:
        raise ValueError("not a date-time such as 2026-11-21T05:35:00Z")
    if text[4] + text[7] + text[13] + text[16] != "--::" or text[10] not in "Tt ":
        raise ValueError("not a date-time such as 2026-11-21T05:35:00Z")
    year = _digits(text, 0, 4)
    month = _digits(text, 5, 7)
    day = _digits(text, 8, 10)
    if not 1 <= month <= 12 or not 1 <= day <= _days_of(year, month):
        raise ValueError("no such day: %s" % text[:10])
    seconds = _day_seconds(_digits(text, 11, 13), _digits(text, 14, 16), _digits(text, 17, 19))
    at = _after_fraction(text, 19)
    return _days_since_1970(year, month, day) * _DAY_S + seconds - _offset_s(text, at)


def _digits(text, start, end):
    digits = text[start:end]
    for byte in digits.encode():
        if not 0x30 <= byte <= 0x39:
            raise ValueError("not a number: %r" % digits)
    return int(digits)


def _days_of(year, month):
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 29 if leap and month == 2 else _MONTH_DAYS[month - 1]


def _day_seconds(hour, minute, second):
    # 60 is a leap second (RFC 3339 §5.7); Unix time has none, so it is the next second
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError("no such time of day")
    return hour * 3600 + minute * 60 + second


def _days_since_1970(year, month, day):
    if month <= 2:
        year -= 1
        month += 12
    cycle = year // 400
    year -= cycle * 400
    days = (153 * (month - 3) + 2) // 5 + day - 1
    return cycle * _CYCLE_DAYS + year * 365 + year // 4 - year // 100 + days - _DAYS_TO_1970


def _after_fraction(text, at):
    if text[at : at + 1] != ".":
        return at
    end = at + 1
    while end < len(text) and "0" <= text[end] <= "9":
        end += 1
    if end == at + 1:
        raise ValueError("no digits after the decimal point")
    return end


def _offset_s(text, at):
    zone = text[at:]
    if zone in ("", "Z", "z"):
        return 0
    if len(zone) != 6 or zone[0] not in "+-" or zone[3] != ":":
        raise ValueError("not a zone: %r" % zone)
    offset = _day_seconds(_digits(zone, 1, 3), _digits(zone, 4, 6), 0)
    return offset if zone[0] == "+" else -offset
