"""One room: its sensor, its relay, its control and what it remembers.

Data flows one way: sensor → reading → control → relay, and reading → history. What a room uses
of the world (bus, pin) is handed in; when and how often is the app's business.
"""

from drivers.reading import Reading, SensorError
from drivers.registry import open_sensor

from thermostat.control import ZoneControl


class Room:
    """`zone` is its entry in the settings, `settings` is `Settings.control`.

    `relay` may be None: the room is measured and never heated. `open_bus(number)` gives the bus
    that the sensor is on. `set_points` and `history`: of the modules of these names.
    """

    def __init__(self, zone, settings, relay, open_bus, set_points, history, log):
        self.name = zone.name
        self.control = ZoneControl(settings, relay is not None)
        self.history = history
        self.reading = Reading()
        self._default_centi_c = zone.target_centi_c
        self._calibration_centi_c = zone.calibration_centi_c
        self._kind, self._bus, self._address = zone.sensor, zone.bus, zone.address
        self._set_points = set_points
        self._relay = relay
        self._open_bus = open_bus
        self._log = log
        self._sensor = None
        self._outcome = None  # of the measurement since the last tick: good, failed or none
        self._trouble = ""

    @property
    def target_centi_c(self):
        return self._set_points.get(self.name, self._default_centi_c)

    @property
    def temperature_centi_c(self):
        """The last trusted reading, or None while there is none."""
        control = self.control
        return control.temperature_centi_c if control.has_reading and not control.fault else None

    def begin(self):
        """Start one measurement; the ms after which `finish` may be called, or -1: it failed."""
        try:
            if self._sensor is None:
                bus = self._open_bus(self._bus)
                self._sensor = open_sensor(self._kind, bus, self._address)
            self._sensor.start()
        except SensorError as error:
            self._lose(error)
            return -1
        return self._sensor.CONVERSION_MS

    def finish(self):
        """Take the measurement in; True if it gave a temperature."""
        try:
            self._sensor.finish(self.reading)
        except SensorError as error:
            self._lose(error)
            return False
        self._outcome = True
        if self._trouble:
            self._trouble = ""
            self._log.info("%s: the sensor is back", self.name)
        return True

    def regulate(self, dt_ms):
        """One tick: decide and switch the relay; True while heating. Allocates nothing."""
        outcome = self._outcome
        self._outcome = None
        control = self.control
        heat = control.step(dt_ms, self._measured(), outcome, self.target_centi_c)
        if outcome and not control.fault:
            self.history.add(control.temperature_centi_c)
        if self._relay is not None and heat != self._relay.is_on:
            if heat:
                self._relay.on()
            else:
                self._relay.off()
        return heat

    def switch_off(self):
        if self._relay is not None:
            self._relay.off()

    def _measured(self):
        return self.reading.temperature_centi_c + self._calibration_centi_c

    def _lose(self, error):
        """A measurement failed. The sensor is opened anew next time, the cause told once."""
        self._outcome = False
        self._sensor = None
        trouble = "%s: %s" % (type(error).__name__, error)
        if trouble != self._trouble:
            self._trouble = trouble
            self._log.warning("%s: no temperature: %s", self.name, trouble)
