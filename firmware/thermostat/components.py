"""The appliance as the service sees it: zones and board bound to the components of the model.

A zone is the component of its name. A model without components (`Thermostat;1`) has one zone, at
its root: the first of the configuration. A component of the model for which there is no zone
still answers for its set point; it measures nothing.

Temperatures are ints in 0.01 °C up to here, and numbers in °C from here on.
"""

from micropython import const
from pnp.device import Rejected, Unavailable
from pnp.telemetry import Telemetry
from system.rfc3339 import format_utc, parse_utc

# A restart that is further away than a day was not meant
_LONGEST_DELAY_S = const(86400)
_TARGET = const("targetTemperature")


def degrees(centi_c):
    """°C as JSON shows it best: 42, 21.5."""
    return centi_c / 100 if centi_c % 100 else centi_c // 100


class ZoneComponent:
    """A zone: its set point, its extremes, its temperature.

    `zone` and `settings`: of `thermostat.settings`; `set_points`: of `thermostat.setpoints`;
    `history`: of `thermostat.history`, None for a zone that is not fitted.
    """

    def __init__(self, component, zone, settings, set_points, history, clock):
        self._component = component
        self._zone = zone
        self._control = settings.control
        self._pace = settings.telemetry
        self._set_points = set_points
        self._history = history
        self._clock = clock
        self._telemetry = None
        self._highest = None  # since the start
        self._told = None  # of that, and when
        self._told_s = 0
        component.bind_property(
            _TARGET, self._set_target, self._bounded(zone.target_centi_c), self._target()
        )
        component.bind_command("getMaxMinReport", self._report)

    def open_telemetry(self, session):
        """Prepare the zone's messages, once the session is there."""
        self._telemetry = Telemetry(session, self._component, ("temperature",), (2,))

    def send(self, centi_c):
        """Send the temperature; False if the session does not take it."""
        self._telemetry.values[0] = centi_c
        return self._telemetry.send()

    def on_reading(self, centi_c):
        """A good reading. A new maximum is told when it is worth it, or has waited."""
        if self._highest is None or centi_c > self._highest:
            self._highest = centi_c
        if self._highest != self._told and self._is_worth_telling():
            self._told = self._highest
            self._told_s = self._clock.uptime_s()
            self._component.report("maxTempSinceLastReboot", degrees(self._told))

    def _is_worth_telling(self):
        if self._told is None:
            return True
        waited_s = self._clock.uptime_s() - self._told_s
        if self._highest - self._told >= self._pace.zone_delta_centi_c:
            return waited_s >= self._pace.zone_least_s
        return waited_s >= self._pace.working_set_period_s

    def _target(self):
        """The set point in use, in °C."""
        return self._bounded(self._set_points.get(self._zone.name, self._zone.target_centi_c))

    def _bounded(self, centi_c):
        """In °C, within the installer's bounds: they may have changed since it was kept."""
        lowest = self._control.target_lowest_centi_c
        return degrees(max(lowest, min(centi_c, self._control.target_highest_centi_c)))

    def _set_target(self, value):
        """Apply a set point in °C; return the one in use."""
        lowest = self._control.target_lowest_centi_c
        highest = self._control.target_highest_centi_c
        # A number that no temperature has is still a number here: compare before rounding
        if not lowest <= value * 100 <= highest:
            bounds = "must be from %s to %s" % (degrees(lowest), degrees(highest))
            raise Rejected(bounds, self._target())
        self._set_points.set(self._zone.name, round(value * 100))
        return self._target()

    def _report(self, since):
        try:
            since_s = parse_utc(since)
        except ValueError as error:
            raise Rejected("since: %s" % error)
        now_s = self._clock.unix_time()
        if not now_s:
            raise Unavailable("the date is not known")
        found = self._history.report(min(since_s, now_s), now_s) if self._history else None
        if found is None:
            raise Unavailable("no temperature is known of that time")
        high, low, mean, start_s, end_s = found
        return {
            "maxTemp": degrees(high),
            "minTemp": degrees(low),
            "avgTemp": degrees(mean),
            "startTime": format_utc(start_s),
            "endTime": format_utc(end_s),
        }


class BoardComponent:
    """The root: what the device is, how it is connected, its memory and its restart.

    `restart_after(delay_s)` is called for the command `reboot`; it has to let the answer leave
    first, also for 0. A second call counts from then.
    """

    def __init__(self, component, serial_number, connectivity, restart_after):
        self._component = component
        self._telemetry = None
        self._restart_after = restart_after
        if "serialNumber" in component.interface.properties:
            component.report("serialNumber", serial_number)
        if "reboot" in component.interface.commands:
            component.bind_command("reboot", self._reboot)
        component.report("connectivity", connectivity)

    def open_telemetry(self, session):
        """Prepare the messages of the root, if the model has any."""
        if "workingSet" in self._component.interface.telemetry:
            self._telemetry = Telemetry(session, self._component, ("workingSet",), (1,))

    def send(self, size):
        """Send the heap in use, of `size` bytes, in KiB; False if nobody takes it."""
        if self._telemetry is None:
            return False
        self._telemetry.values[0] = size * 10 // 1024
        return self._telemetry.send()

    def _reboot(self, delay_s):
        if not 0 <= delay_s <= _LONGEST_DELAY_S:
            raise Rejected("delay must be from 0 to %d seconds" % _LONGEST_DELAY_S)
        self._restart_after(delay_s)


def bind_zones(device, settings, set_points, histories, clock, log):
    """The ZoneComponent of each of `settings.zones`; None where the model has no place for it.

    `histories`: one for each of these zones, None for a zone that is not fitted.
    """
    zones = settings.zones
    bound = [None] * len(zones)
    for name, component in _places(device, zones[0].name):
        at = _index(zones, name)
        if at is None:
            # Rare, and not worth keeping the module for
            from thermostat.zones import Zone

            absent = Zone(name, "", 0, None)
            ZoneComponent(component, absent, settings, set_points, None, clock)
        else:
            bound[at] = ZoneComponent(
                component, zones[at], settings, set_points, histories[at], clock
            )
    for at, zone in enumerate(zones):
        if bound[at] is None:
            log.warning("zone %s is no component of the model: the hub will not see it", zone.name)
    return bound


def _places(device, first_zone):
    """[(zone name, Component)] of what the model has for zones; the root is the first zone's."""
    return [
        (component.name or first_zone, component)
        for component in device.components
        if _TARGET in component.interface.properties
    ]


def _index(zones, name):
    for at, zone in enumerate(zones):
        if zone.name == name:
            return at
    return None


def report_information(component, information, version):
    """Tell of the board what the model asks for; `information`: see boards/README.md."""
    for name in component.interface.properties:
        value = version if name == "swVersion" else information.get(name)
        if value is not None:
            component.report(name, value)
