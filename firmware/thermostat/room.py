"""One room: its sensor, its relay, its control and what it remembers.

Data flows one way: sensor → reading → control → relay, and reading → history. What a room uses
of the world (bus, pin) is handed in; when and how often is the app's business.
"""

from drivers.reading import Reading, SensorError
from drivers.registry import open_sensor

from thermostat.control import ZoneControl


class Room:
    """`zone` is its entry in the settings, `settings` is the section `control`.

    `relay` is the pin of its relay, high: on; None: the room is measured and never heated.
    `open_bus(number)` gives the bus that the sensor is on. `set_points` and `history`: of the
    modules of these names. `temperature_centi_c` is the last trusted reading as of the last
    tick, or None while there is none.
    """

    def __init__(self, zone, settings, relay, open_bus, set_points, history, log):
        self.name = zone.name
        self.temperature_centi_c = None
        self.control = ZoneControl(settings, relay is not None)
        self.history = history
        self.reading = Reading()
        self.zone = zone
        self.set_points = set_points
        self.relay = relay
        self._is_on = None  # of the relay, as far as that is known
        self.open_bus = open_bus
        self.log = log
        self.sensor = None
        self._outcome = None  # of the measurement since the last tick: good, failed or none
        self._trouble = ""
        self.switch_off()

    def begin(self):
        """Start one measurement; the ms after which `finish` may be called, or -1: it failed."""
        try:
            if self.sensor is None:
                zone = self.zone
                self.sensor = open_sensor(zone.sensor, self.open_bus(zone.bus), zone.address)
            self.sensor.start()
        except SensorError as error:
            self._lose(error)
            return -1
        return self.sensor.CONVERSION_MS

    def finish(self):
        """Take the measurement in; True if it gave a temperature."""
        try:
            self.sensor.finish(self.reading)
        except SensorError as error:
            self._lose(error)
            return False
        self._outcome = True
        if self._trouble:
            self._trouble = ""
            self.log.info("%s: the sensor is back", self.name)
        return True

    def miss(self):
        """A measurement did not come about, by no fault of the sensor."""
        self._outcome = False

    def regulate(self, dt_ms):
        """One tick: decide and switch the relay; True while heating. Allocates nothing."""
        outcome = self._outcome
        self._outcome = None
        control, zone = self.control, self.zone
        measured = self.reading.temperature_centi_c + zone.calibration_centi_c
        target = self.set_points.get(self.name, zone.target_centi_c)
        heat = control.step(dt_ms, measured, outcome, target)
        self.temperature_centi_c = None if control.fault else control.temperature_centi_c
        if outcome and not control.fault:
            self.history.add(control.temperature_centi_c)
        if heat is not self._is_on:
            self._switch(heat)
        return heat

    def switch_off(self):
        self.control.rest()
        self._switch(False)

    def _switch(self, heat):
        if self.relay is not None:
            self.relay.value(1 if heat else 0)
        self._is_on = heat

    def _lose(self, error):
        """A measurement failed. The sensor is opened anew next time, the cause told once."""
        self._outcome = False
        self.sensor = None
        trouble = "%s: %s" % (type(error).__name__, error)
        if trouble != self._trouble:
            self._trouble = trouble
            self.log.warning("%s: no temperature: %s", self.name, trouble)
