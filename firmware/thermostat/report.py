"""The command getMaxMinReport: what a zone's history tells. In the heap only for the answer.

The answer says from when on it really is: extremes and mean cover exactly that time.
"""

from micropython import const
from pnp.device import Rejected, Unavailable
from system.clock import format_utc
from system.dates import parse_utc

from thermostat.cloud import degrees
from thermostat.history import LEVELS

# Below and above all that a history takes
_LOWEST = const(-32768)
_HIGHEST = const(32767)


def max_min_report(room, clock, since):
    """The response for the time since `since` (RFC 3339); `room` is None for a zone not fitted.

    Raises Rejected for what is no date, Unavailable where nothing is known.
    """
    try:
        since_s = parse_utc(since)
    except ValueError as error:
        raise Rejected("since: %s" % error)
    now_s = clock.unix_time()
    if not now_s:
        raise Unavailable("the date is not known")
    found = room and summary(room.history, min(since_s, now_s), now_s)
    if not found:
        raise Unavailable("no temperature is known of that time")
    high, low, mean, start_s, end_s = found
    return {
        "maxTemp": degrees(high),
        "minTemp": degrees(low),
        "avgTemp": degrees(mean),
        "startTime": format_utc(start_s),
        "endTime": format_utc(end_s),
    }


def summary(history, since_unix_s, now_unix_s):
    """(max, min, mean in 0.01 °C, start, end in Unix seconds); None if nothing is known.

    `since` is kept between the oldest that is remembered and now; from now on, it is the present
    reading alone. `start` is where the answer begins: `since` rounded down to a bucket.
    """
    now_s = history.account()
    first_s, present = history.first_s, history.temperature
    if first_s is None:
        return None
    boot_unix_s = now_unix_s - now_s
    since_s = since_unix_s - boot_unix_s
    if since_s >= now_s:
        known = now_s < history.until_s
        return (present, present, present, now_unix_s, now_unix_s) if known else None
    since_s = max(since_s, first_s)
    for level in range(len(LEVELS)):
        period_s, count, begin = LEVELS[level]
        newest = history.newest[level]
        # The oldest that is still whole
        oldest = max(0, newest - count + 1)
        if since_s >= oldest * period_s:
            break
    oldest = max(oldest, since_s // period_s)
    highest, lowest, weighted, seconds = _LOWEST, _HIGHEST, 0, 0
    for number in range(oldest, newest + 1):
        slot = begin + number % count
        highest = max(highest, history.highest[slot])
        lowest = min(lowest, history.lowest[slot])
        weighted += history.weighted[slot]
        seconds += history.seconds[slot]
    if highest < lowest:
        return None
    # Readings of the very same second have no duration yet
    mean = (2 * weighted + seconds) // (2 * seconds) if seconds else present
    start_s = max(oldest * period_s, first_s)
    return highest, lowest, mean, boot_unix_s + start_s, now_unix_s
