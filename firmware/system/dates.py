"""Reads the dates that people and programs write. In the heap only while one is asked for.

Source: RFC 3339 §5.6 (grammar).
"""

from micropython import const

from system.clock import format_utc

_DAY_S = const(86400)
# From 0000-03-01 to 1970-01-01 in the Gregorian calendar
_DAYS_TO_1970 = const(719468)
# The longest that any known SDK writes is 32 ("2026-11-21T05:35:00.123456+00:00" and the like)
_LONGEST = const(40)


def parse_utc(text):
    """Unix seconds (int, rounded down) of an RFC 3339 date-time.

    The zone may be `Z`, an offset, or missing, which means UTC; a fraction may follow the
    seconds. Raises ValueError for anything else, also for a day that the calendar has not.
    """
    try:
        # A leap second (RFC 3339 §5.7) is the next second: Unix time has none
        leap = text[16:19] == ":60"
        plain = text[:10] + "T" + (text[11:17] + "59" if leap else text[11:19])
        unix_s = _unix_s(plain)
        zone_at = 19
        if text[19:20] == ".":
            zone_at += 1 + len(text[20:]) - len(text[20:].lstrip("0123456789"))
        # What the calendar or the grammar has not does not come back as it was
        if format_utc(unix_s)[:19] == plain and text[10] in "Tt " and zone_at != 20:
            if len(text) <= _LONGEST:
                return unix_s + leap - _offset_s(text[zone_at:])
    except (ValueError, TypeError, IndexError):
        pass  # no digits where they have to be, or no text
    raise ValueError("no date-time of the calendar, such as 2026-11-21T05:35:00Z")


def _unix_s(text):
    """Of `YYYY-MM-DDThh:mm:ss`. Raises ValueError."""
    year, month = int(text[:4]), int(text[5:7])
    if month <= 2:
        year -= 1
        month += 12
    days = (153 * (month - 3) + 2) // 5 + int(text[8:10]) - 1 - _DAYS_TO_1970
    days += year * 365 + year // 4 - year // 100 + year // 400
    return days * _DAY_S + int(text[11:13]) * 3600 + int(text[14:16]) * 60 + int(text[17:19])


def _offset_s(zone):
    """Seconds east of UTC. Raises ValueError."""
    if zone in ("", "Z", "z"):
        return 0
    offset = int(zone[1:3]) * 3600 + int(zone[4:]) * 60
    if zone[0] not in "+-" or offset >= _DAY_S or zone[1:] != format_utc(offset)[11:16]:
        raise ValueError
    return offset if zone[0] == "+" else -offset
