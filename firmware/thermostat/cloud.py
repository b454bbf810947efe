"""The appliance as the service sees it: zones and board bound to the components of the model,
and what they tell of their own accord.

Temperatures are ints in 0.01 °C up to here, and numbers in °C from here on.
"""

from micropython import const
from pnp.device import Rejected
from pnp.telemetry import Telemetry
from system.modules import later

# A restart that is further away than a day was not meant
_LONGEST_DELAY_S = const(86400)
# No room is as warm; settings allow no bound beyond
_NO_TEMPERATURE_C = const(1000)
# What answers for a zone's past, and is needed for nothing else
_REPORT = const(("thermostat.report", "system.dates"))


def degrees(centi_c):
    """°C as JSON shows it best: 42, 21.5."""
    return centi_c / 100 if centi_c % 100 else centi_c // 100


class Schedule:
    """When a value is worth a message: every so often, and sooner when it has moved.

    `period_s` between messages, cut short when the value moved by `delta` (0: by time alone),
    but never below `least_s`. `sent` is the value last sent, None before the first, which is due
    at once. Allocates nothing.
    """

    def __init__(self, clock, period_s, delta, least_s):
        self.sent = None
        self.clock = clock
        self.period_s = period_s
        self.delta = delta
        self.least_s = least_s
        self._sent_s = 0

    def is_due(self, value):
        """Whether `value` should be sent now."""
        if self.sent is None:
            return True
        elapsed_s = self.clock.uptime_s() - self._sent_s
        has_moved = self.delta and abs(value - self.sent) >= self.delta
        return elapsed_s >= (self.least_s if has_moved else self.period_s)

    def note_sent(self, value):
        self.sent = value
        self._sent_s = self.clock.uptime_s()


class ZoneComponent:
    """A zone: its set point, its extremes, its temperature.

    `name` and `default_centi_c` of the zone; `room` is None if it is not fitted: then it answers
    for its set point, and measures nothing. `schedule` is that of its temperature.
    """

    def __init__(
        self, component, name, default_centi_c, room, set_points, settings, session, clock
    ):
        self.component = component
        self.name = name
        self.default_centi_c = default_centi_c
        self.room = room
        self.set_points = set_points
        self.control = settings.control
        self.clock = clock
        pace = settings.telemetry
        delta, least_s = pace.zone_delta_centi_c, pace.zone_least_s
        self.schedule = Schedule(clock, pace.zone_period_s, delta, least_s)
        # Of the maximum, since the start, which is told when it is worth it, or has waited
        self._maximum = Schedule(clock, pace.working_set_period_s, delta, least_s)
        self._highest = None
        self.telemetry = Telemetry(session, component, ("temperature",), (2,))
        component.bind_property(
            "targetTemperature", self._set_target, self._bounded(default_centi_c), self._target()
        )
        component.bind_command("getMaxMinReport", later(_REPORT, "max_min_report", room, clock))

    def tend(self):
        """Send what is due."""
        centi_c = self.room and self.room.temperature_centi_c
        if centi_c is None:
            return
        if self._highest is None or centi_c > self._highest:
            self._highest = centi_c
        if self._highest != self._maximum.sent and self._maximum.is_due(self._highest):
            self._maximum.note_sent(self._highest)
            self.component.report("maxTempSinceLastReboot", degrees(self._highest))
        if self.schedule.is_due(centi_c):
            self.telemetry.values[0] = centi_c
            if self.telemetry.send():
                self.schedule.note_sent(centi_c)

    def _target(self):
        """The set point in use, in °C."""
        return self._bounded(self.set_points.get(self.name, self.default_centi_c))

    def _bounded(self, centi_c):
        """In °C, within the installer's bounds: they may have changed since it was kept."""
        control = self.control
        bounded = max(control.target_lowest_centi_c, min(centi_c, control.target_highest_centi_c))
        return degrees(bounded)

    def _set_target(self, value):
        """Apply a set point in °C; return the one in use."""
        lowest = self.control.target_lowest_centi_c
        highest = self.control.target_highest_centi_c
        # Rounded first: to a board 38.9 * 100 is more than 3890. Not what has no end or is no
        # number: that cannot be
        centi_c = round(value * 100) if abs(value) < _NO_TEMPERATURE_C else _NO_TEMPERATURE_C * 100
        if not lowest <= centi_c <= highest:
            bounds = "must be from %s to %s" % (degrees(lowest), degrees(highest))
            raise Rejected(bounds, self._target())
        self.set_points.set(self.name, centi_c)
        return self._target()


class Cloud:
    """The Plug and Play `device`, its `session` with the hub, and what is sent through it.

    `zones` are ZoneComponents. `restart_after(delay_s)` is called for the command `reboot`; it
    has to let the answer leave first, also for 0. A second call counts from then. `working_set` is
    its Telemetry, due by `schedule`; None for a model without it.
    """

    def __init__(self, device, session, zones, board, restart_after, working_set, schedule):
        self.device = device
        self.session = session
        self.zones = zones
        self.board = board
        self.restart_after = restart_after
        self.working_set = working_set
        self.schedule = schedule

    def tend(self):
        """Send what is due. To be called about once a second."""
        for zone in self.zones:
            zone.tend()
        if self.working_set and self.schedule.is_due(0):
            self.working_set.values[0] = self.board.heap_in_use() * 10 // 1024
            self.working_set.send()
            self.schedule.note_sent(0)

    def reboot(self, delay_s):
        """The command of that name."""
        if not 0 <= delay_s <= _LONGEST_DELAY_S:
            raise Rejected("delay must be from 0 to %d seconds" % _LONGEST_DELAY_S)
        self.restart_after(delay_s)
