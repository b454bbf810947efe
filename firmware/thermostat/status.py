"""What the model of our own has beyond the samples: heat, faults, alarms, humidity, and a pace
that the service sets.

Loaded only for a model that names these: `dtmi:thermostat_micropython:HeatingController;1`.
"""

from micropython import const
from pnp.device import Rejected
from pnp.telemetry import Telemetry

from thermostat.cloud import Schedule, ZoneComponent

# By their numbers, and by their bits, in thermostat/control.py
_FAULTS = const(("none", "sensorLost", "sensorAbsurd"))
_ALARMS = const(("warmingWhileOff", "noWarmingWhileOn", "onTooLong"))
# As those of `zone_period_s` in thermostat/settings.py, which is out of the heap by now
_SHORTEST_S = const(1)
_LONGEST_S = const(86400)


class HeatedZone(ZoneComponent):
    """A ZoneComponent, made like one, that also tells heat, fault, alarms and humidity.

    The first three are told when one of them changed, but no sooner than `zone_least_s` after the
    last time: a sensor that comes and goes does not flood the hub. None is told before the zone
    has a temperature or knows why there is none. Humidity goes along with the temperature.
    """

    def __init__(self, *zone):
        super().__init__(*zone)
        names = ("temperature", "humidity")
        self.telemetry = Telemetry(self.telemetry.session, self.component, names, (2, 2))
        # Of heat, fault and alarms as one number, any change of which counts
        self._state = Schedule(self.clock, 0, 1, self.schedule.least_s)

    def tend(self):
        """Send what is due."""
        if self.room:
            humidity = self.room.reading.humidity_centi_percent
            self.telemetry.values[1] = humidity if humidity >= 0 else None
            self._tell_state(self.room.control)
        super().tend()

    def _tell_state(self, control):
        is_known = control.fault or control.temperature_centi_c is not None
        state = control.alarm << 3 | control.fault << 1 | control.heat
        if is_known and state != self._state.sent and self._state.is_due(state):
            report = self.component.report
            report("heating", control.heat)
            report("fault", _FAULTS[control.fault])
            alarms = {name: bool(control.alarm >> at & 1) for at, name in enumerate(_ALARMS)}
            report("alarms", alarms)
            self._state.note_sent(state)


def bind_report_period(root, zones, pace):
    """Let the service set how often the `zones` send a temperature that stays the same.

    `pace` is the section `telemetry` of the settings: its period is the default, and a change of
    temperature is sent no later than by the period that is set.
    """
    least_s = pace.zone_least_s

    def set_period(period_s):
        if not _SHORTEST_S <= period_s <= _LONGEST_S:
            raise Rejected("must be from %d to %d" % (_SHORTEST_S, _LONGEST_S))
        for zone in zones:
            zone.schedule.period_s = period_s
            zone.schedule.least_s = min(least_s, period_s)
        return period_s

    root.bind_property("reportPeriod", set_period, pace.zone_period_s)
