"""Does the room do what the heat should make it do? The alarms are bits:

    1   warms while the heat is off: a relay that sticks, a valve that leaks
    2   does not warm while the heat is on: burner, valve or relay dead
    4   heated without a pause: too small a heater, an open window

They look at means of a minute, which sensor noise does not move, against a mark: the lowest mean
of the watched time. Off-time is watched once radiators had time to cool, and in windows, so that
the slow warming of a sunny day stays below the limit; a heater that warms its room no faster than
the sun does is not told from it. No alarm switches anything.

A zone that warmed while off stays alarmed until heat is wanted again or the room is back where
it rose from; one that did not warm, until it does. No heap, all values within 30 bits.
"""

from micropython import const

_ALARM_WARMING_OFF = const(1)
_ALARM_NOT_WARMING = const(2)
_ALARM_ON_TOO_LONG = const(4)

_MINUTE_MS = const(60000)
# Readings that one mean takes at most: 4096 of 327.67 °C are 27 bits
_MOST_READINGS = const(4096)
# Where durations stop counting; twice this, and this plus a tick, fit 30 bits
_LONGEST = const(1 << 28)


class HeatAlarms:
    """`settings` is `Settings.control`."""

    def __init__(self, settings):
        self._settings = settings
        # A room that goes round within its hysteresis never rises by more than twice that
        self._progress_centi_c = min(settings.no_warming_rise_centi_c, settings.hysteresis_centi_c)
        self._alarm = 0
        self._heat = False
        self._sum_centi_c = 0
        self._readings = 0
        self._minute_ms = 0
        # Since the heat was switched, the alarms' clock; and since the mark was set
        self._switched_s = 0
        self._marked_s = 0
        self._mark_centi_c = 0
        self._has_mark = False
        self._risen_from_centi_c = 0

    def step(self, dt_ms, temperature_centi_c, trusted, heat):
        """The alarms, as bits. `dt_ms` from 0 to 2^28; `trusted`: the temperature is one."""
        if heat != self._heat:
            self._switch(heat)
        self._minute_ms += dt_ms
        if trusted and self._readings < _MOST_READINGS:
            self._sum_centi_c += temperature_centi_c
            self._readings += 1
        if self._minute_ms >= _MINUTE_MS:
            self._end_minute()
        return self._alarm

    def _switch(self, heat):
        self._heat = heat
        self._switched_s = 0
        self._has_mark = False
        self._restart_mean()
        if heat:
            self._alarm &= ~_ALARM_WARMING_OFF
        else:
            self._alarm &= ~_ALARM_ON_TOO_LONG

    def _restart_mean(self):
        self._sum_centi_c = 0
        self._readings = 0
        self._minute_ms = 0

    def _end_minute(self):
        elapsed_s = self._minute_ms // 1000
        readings = self._readings
        mean = self._sum_centi_c // readings if readings else 0
        self._restart_mean()
        self._switched_s = add_saturated(self._switched_s, elapsed_s)
        self._marked_s = add_saturated(self._marked_s, elapsed_s)
        if self._heat and self._switched_s >= self._settings.on_too_long_s:
            self._alarm |= _ALARM_ON_TOO_LONG
        if not readings:
            # Without a sensor nothing can be said: watch anew when it is back
            self._has_mark = False
        elif self._heat:
            self._watch_on(mean)
        else:
            self._watch_off(mean)

    def _set_mark(self, mean):
        self._mark_centi_c = mean
        self._marked_s = 0
        self._has_mark = True

    def _watch_on(self, mean):
        if not self._has_mark:
            self._set_mark(mean)
        elif mean < self._mark_centi_c:
            # Still falling: what counts is warming from the lowest point; its time runs on
            self._mark_centi_c = mean
        elif mean - self._mark_centi_c >= self._progress_centi_c:
            self._alarm &= ~_ALARM_NOT_WARMING
            self._set_mark(mean)
        if self._marked_s >= self._settings.no_warming_window_s:
            self._alarm |= _ALARM_NOT_WARMING

    def _watch_off(self, mean):
        if self._alarm & _ALARM_WARMING_OFF:
            if mean <= self._risen_from_centi_c:
                self._alarm &= ~_ALARM_WARMING_OFF
                self._has_mark = False
        elif self._switched_s < self._settings.warming_settle_s:
            self._has_mark = False
        elif not self._has_mark or mean < self._mark_centi_c:
            self._set_mark(mean)
        elif mean - self._mark_centi_c >= self._settings.warming_rise_centi_c:
            self._alarm |= _ALARM_WARMING_OFF
            self._risen_from_centi_c = self._mark_centi_c
        elif self._marked_s >= self._settings.warming_window_s:
            self._set_mark(mean)


def add_saturated(total, step):
    """`total` + `step`, both from 0 to 2^28, or 2^28 if that is more."""
    return total + step if step < _LONGEST - total else _LONGEST
