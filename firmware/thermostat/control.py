"""Whether one zone is heated. Pure: no clock, no sensor, no relay, no heap.

Temperatures are ints in 0.01 °C, durations ints in ms, all within 30 bits, so that a board
computes them without the heap. The first rule that applies decides:

    1  sensor fault     heat off
    2  above ceiling    heat off
    3  below frost      heat on
    4  minimum times    heat stays as it is
    5  set point        on at target - hysteresis, off at target + hysteresis, between as it is

The set point is kept within its bounds here too: whoever gave it, the cloud cannot overheat.
"""

from micropython import const

from thermostat.alarms import HeatAlarms, add_saturated

# Of `fault`, for people and tests to know by number
_FAULT_NONE = const(0)
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
# Where durations stop counting: 3.1 days. Twice this, and this plus a tick, fit 30 bits
_LONGEST_MS = const(1 << 28)


class ZoneControl:
    """`settings` is `Settings.control`; `heats` False: a zone without a relay, never heated.

    heat    what the relay should do
    fault   why the sensor is not trusted: 0 it is, 1 no reading, 2 readings that no room has
    reason  the number of the rule that decided
    alarm   bits, see `thermostat.alarms`
    temperature_centi_c   the last good reading, meaningless before the first (`has_reading`)
    """

    def __init__(self, settings, heats=True):
        self.heat = False
        self.fault = _FAULT_NONE
        self.reason = _REASON_FAULT
        self.alarm = 0
        self.temperature_centi_c = 0
        self.has_reading = False
        self._settings = settings
        self._heats = heats
        self._alarms = HeatAlarms(settings)
        # Minimum off counts from boot
        self._unchanged_ms = 0
        self._age_ms = 0
        self._bad = 0
        self._good = 0

    def step(self, dt_ms, temperature_centi_c, valid, target_centi_c):
        """Decide; True means heat.

        dt_ms: since the last step, by ticks. valid: True, this is a new good reading; False, the
        attempt to read failed; None, there was no attempt since the last step.
        """
        if dt_ms < 0:
            dt_ms = 0
        elif dt_ms > _LONGEST_MS:
            dt_ms = _LONGEST_MS
        self._unchanged_ms = add_saturated(self._unchanged_ms, dt_ms)
        self._age_ms = add_saturated(self._age_ms, dt_ms)
        if valid is not None:
            self._note_reading(temperature_centi_c, valid)
        if self._age_ms >= self._settings.sensor_lost_s * 1000 and self.fault == _FAULT_NONE:
            self._note_fault(_FAULT_LOST)
        heat = self._decide(target_centi_c)
        if heat != self.heat:
            self.heat = heat
            self._unchanged_ms = 0
        if self._heats:
            trusted = self.has_reading and self.fault == _FAULT_NONE
            self.alarm = self._alarms.step(dt_ms, self.temperature_centi_c, trusted, heat)
        return heat

    def _note_reading(self, temperature_centi_c, valid):
        settings = self._settings
        if not valid:
            self._note_bad(_FAULT_LOST)
        elif (
            temperature_centi_c < settings.plausible_lowest_centi_c
            or temperature_centi_c > settings.plausible_highest_centi_c
        ):
            self._note_bad(_FAULT_ABSURD)
        else:
            self._note_good(temperature_centi_c)

    def _note_bad(self, fault):
        self._good = 0
        if self._bad < self._settings.bad_readings:
            self._bad += 1
        if self._bad >= self._settings.bad_readings:
            self._note_fault(fault)

    def _note_good(self, temperature_centi_c):
        self._bad = 0
        if self._good < _GOOD_READINGS:
            self._good += 1
        if self.fault != _FAULT_NONE and self._good < _GOOD_READINGS:
            return
        self.fault = _FAULT_NONE
        self.has_reading = True
        self.temperature_centi_c = temperature_centi_c
        self._age_ms = 0

    def _note_fault(self, fault):
        self.fault = fault
        self._good = 0

    def _decide(self, target_centi_c):
        settings = self._settings
        temperature = self.temperature_centi_c
        if self.fault != _FAULT_NONE or not self.has_reading or not self._heats:
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
        target = self._within_bounds(target_centi_c)
        if self.heat:
            return temperature < target + settings.hysteresis_centi_c
        return temperature <= target - settings.hysteresis_centi_c

    def _within_bounds(self, target_centi_c):
        settings = self._settings
        if target_centi_c < settings.target_lowest_centi_c:
            return settings.target_lowest_centi_c
        if target_centi_c > settings.target_highest_centi_c:
            return settings.target_highest_centi_c
        return target_centi_c
