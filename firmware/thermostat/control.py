"""Whether one zone is heated, and whether the room does what that should make it do. Pure: no
clock, no sensor, no relay, no heap.

Temperatures are ints in 0.01 °C, durations ints in ms or s, all within 30 bits, so that a board
computes them without the heap. The first rule that applies decides:

    1  sensor fault     heat off
    2  above ceiling    heat off
    3  below frost      heat on
    4  minimum times    heat stays as it is
    5  set point        on at target - hysteresis, off at target + hysteresis, between as it is

The set point is kept within its bounds here too: whoever gave it, the cloud cannot overheat.
"""

from micropython import const

# Of `fault`, for people and tests to know by number
_FAULT_LOST = const(1)  # no reading
_FAULT_ABSURD = const(2)  # readings that no room has

# Of `reason`
_REASON_FAULT = const(1)
_REASON_CEILING = const(2)
_REASON_FROST = const(3)
_REASON_MINIMUM = const(4)
_REASON_SET_POINT = const(5)

# Readings it takes, one after the other, to trust a sensor again
_GOOD_READINGS = const(2)
# The worst that a tick may be late, with whatever else goes on
_LATE_MS = const(500)
# Where durations stop counting, in ms 3.1 days. Twice this, and this plus a tick, fit 30 bits
_LONGEST = const(1 << 28)

_ALARM_WARMING_OFF = const(1)
_ALARM_NOT_WARMING = const(2)
_ALARM_ON_TOO_LONG = const(4)

_MINUTE_MS = const(60000)
# Readings that one mean takes at most: 4096 of 327.67 °C are 27 bits
_MOST_READINGS = const(4096)


class ZoneControl:
    """`settings` is the section `control`; `heats` False: a zone without a relay, never heated.

    heat    what the relay should do
    fault   why the sensor is not trusted: 0 it is, 1 no reading, 2 readings that no room has
    reason  the number of the rule that decided
    alarm   bits, see HeatAlarms
    temperature_centi_c   the last good reading, None before the first
    """

    def __init__(self, settings, heats=True):
        self.heat = False
        self.fault = 0
        self.reason = _REASON_FAULT
        self.alarm = 0
        self.temperature_centi_c = None
        self.settings = settings
        self._alarms = HeatAlarms(settings) if heats else None
        # Minimum off counts from boot
        self._unchanged_ms = 0
        self._age_ms = 0
        # Two ticks early, and each may be late: a reading may be a tick old when it comes here,
        # and this is asked only once a tick
        self._patience_ms = settings.sensor_lost_s * 1000 - 2 * (settings.tick_ms + _LATE_MS)
        self._bad = 0
        self._good = 0

    def rest(self):
        """The heat was switched off by others: that counts as any other time."""
        if self.heat:
            self.heat = False
            self._unchanged_ms = 0

    def step(self, dt_ms, temperature_centi_c, valid, target_centi_c):
        """Decide; True means heat.

        dt_ms: since the last step, by ticks. valid: True, this is a new good reading; False, the
        attempt to read failed; None, there was no attempt since the last step.
        """
        dt_ms = max(0, min(_LONGEST, dt_ms))
        self._unchanged_ms = min(_LONGEST, self._unchanged_ms + dt_ms)
        self._age_ms = min(_LONGEST, self._age_ms + dt_ms)
        if valid is not None:
            self._note_reading(temperature_centi_c, valid)
        if self._age_ms >= self._patience_ms and not self.fault:
            self.fault = _FAULT_LOST
            self._good = 0
        heat = self._decide(target_centi_c)
        if heat != self.heat:
            self.heat = heat
            self._unchanged_ms = 0
        if self._alarms:
            reading = None if self.fault else self.temperature_centi_c
            self.alarm = self._alarms.step(dt_ms, reading, heat)
        return heat

    def _note_reading(self, temperature_centi_c, valid):
        settings = self.settings
        if (
            valid
            and temperature_centi_c >= settings.plausible_lowest_centi_c
            and temperature_centi_c <= settings.plausible_highest_centi_c
        ):
            self._bad = 0
            self._good = min(self._good + 1, _GOOD_READINGS)
            if not self.fault or self._good == _GOOD_READINGS:
                self.fault = 0
                self.temperature_centi_c = temperature_centi_c
                self._age_ms = 0
        else:
            self._good = 0
            self._bad = min(self._bad + 1, settings.bad_readings)
            if self._bad == settings.bad_readings:
                self.fault = _FAULT_ABSURD if valid else _FAULT_LOST

    def _decide(self, target_centi_c):
        settings = self.settings
        temperature = self.temperature_centi_c
        if self.fault or temperature is None or not self._alarms:
            self.reason = _REASON_FAULT
            return False
        if temperature > settings.ceiling_centi_c:
            self.reason = _REASON_CEILING
            return False
        if temperature < settings.frost_limit_centi_c:
            self.reason = _REASON_FROST
            return True
        minimum_s = settings.minimum_on_s if self.heat else settings.minimum_off_s
        if self._unchanged_ms < minimum_s * 1000:
            self.reason = _REASON_MINIMUM
            return self.heat
        self.reason = _REASON_SET_POINT
        target = min(settings.target_highest_centi_c, target_centi_c)
        target = max(settings.target_lowest_centi_c, target)
        if self.heat:
            return temperature < target + settings.hysteresis_centi_c
        return temperature <= target - settings.hysteresis_centi_c


class HeatAlarms:
    """Does the room do what the heat should make it do? The alarms are bits:

    1   warms while the heat is off: a relay that sticks, a valve that leaks
    2   does not warm while the heat is on: burner, valve or relay dead
    4   heated without a pause: too small a heater, an open window

    They look at means of a minute, which sensor noise does not move, against a mark: the lowest
    mean of the watched time. Off-time is watched once radiators had time to cool, and in windows,
    so that the slow warming of a sunny day stays below the limit; a heater that warms its room no
    faster than the sun does is not told from it. No alarm switches anything.

    A zone that warmed while off stays alarmed until heat is wanted again or the room is back where
    it rose from; one that did not warm, until it does. `settings` is the section `control`.
    """

    def __init__(self, settings):
        self.settings = settings
        # A room that goes round within its hysteresis never rises by more than twice that
        self._progress = min(settings.no_warming_rise_centi_c, settings.hysteresis_centi_c)
        self.alarm = 0
        self.heat = False
        self._sum = 0
        self._readings = 0
        self._minute_ms = 0
        # Since the heat was switched, the alarms' clock; and since the mark was set
        self._switched_s = 0
        self._marked_s = 0
        self._mark = None
        self._risen_from = 0

    def step(self, dt_ms, temperature_centi_c, heat):
        """The alarms, as bits. `dt_ms` from 0 to 2^28; a temperature of None is not known."""
        if heat != self.heat:
            self.heat = heat
            self.alarm &= ~(_ALARM_WARMING_OFF if heat else _ALARM_ON_TOO_LONG)
            self._switched_s = self._sum = self._readings = self._minute_ms = 0
            self._mark = None
        self._minute_ms += dt_ms
        if temperature_centi_c is not None and self._readings < _MOST_READINGS:
            self._sum += temperature_centi_c
            self._readings += 1
        if self._minute_ms >= _MINUTE_MS:
            self._end_minute()
        return self.alarm

    def _end_minute(self):
        elapsed_s = self._minute_ms // 1000
        mean = self._sum // self._readings if self._readings else None
        self._sum = self._readings = self._minute_ms = 0
        self._switched_s = min(_LONGEST, self._switched_s + elapsed_s)
        self._marked_s = min(_LONGEST, self._marked_s + elapsed_s)
        if self.heat and self._switched_s >= self.settings.on_too_long_s:
            self.alarm |= _ALARM_ON_TOO_LONG
        if mean is None:
            # Without a sensor nothing can be said: watch anew when it is back
            self._mark = None
        elif self.heat:
            self._watch_on(mean, self._mark)
        else:
            self._watch_off(mean, self._mark)

    def _set_mark(self, mean):
        self._mark = mean
        self._marked_s = 0

    def _watch_on(self, mean, mark):
        if mark is None:
            self._set_mark(mean)
        elif mean < mark:
            # Still falling: what counts is warming from the lowest point; its time runs on
            self._mark = mean
        elif mean - mark >= self._progress:
            self.alarm &= ~_ALARM_NOT_WARMING
            self._set_mark(mean)
        if self._marked_s >= self.settings.no_warming_window_s:
            self.alarm |= _ALARM_NOT_WARMING

    def _watch_off(self, mean, mark):
        if self.alarm & _ALARM_WARMING_OFF:
            if mean <= self._risen_from:
                self.alarm &= ~_ALARM_WARMING_OFF
                self._mark = None
        elif self._switched_s < self.settings.warming_settle_s:
            self._mark = None
        elif mark is not None and mean - mark >= self.settings.warming_rise_centi_c:
            self.alarm |= _ALARM_WARMING_OFF
            self._risen_from = mark
        elif mark is None or mean < mark or self._marked_s >= self.settings.warming_window_s:
            self._set_mark(mean)
