"""What one measurement gives: numbers that fit the small ints of a 32-bit board, or an error.

A driver turns every OSError of the bus into one of four errors with one base, at the transfer
where it arose, so that whoever reads sensors needs `except SensorError` and nothing else. A
driver that raised has not touched the Reading it was given.
"""

import errno

from micropython import const

# Below absolute zero's own figure nothing is possible, so a Reading that no driver has filled
# can never pass for a cold room.
NO_TEMPERATURE = const(-27315)
NOT_MEASURED = const(-1)


class Reading:
    """Made once per sensor and filled by `finish()` again and again.

    temperature_centi_c     0.01 °C; NO_TEMPERATURE until the first measurement
    humidity_centi_percent  0.01 % relative humidity; -1: this chip does not measure it
    pressure_pa             pascal; -1: this chip does not measure it
    """

    def __init__(self):
        self.fill(NO_TEMPERATURE, NOT_MEASURED, NOT_MEASURED)

    def fill(self, temperature_centi_c, humidity_centi_percent, pressure_pa):
        self.temperature_centi_c = temperature_centi_c
        self.humidity_centi_percent = humidity_centi_percent
        self.pressure_pa = pressure_pa


class SensorError(Exception):
    """No usable value came from the sensor; the text says which sensor and why."""


class SensorAbsent(SensorError):
    """Nothing acknowledged, or another kind of chip sits at the address."""


class SensorBusError(SensorError):
    """The bus is stuck or timed out, or the chip answers but does not do its work."""


class SensorChecksumError(SensorError):
    """The bytes were damaged on the way: a CRC is wrong, or two copies differ."""


class SensorRangeError(SensorError):
    """The chip skipped the measurement, or the value lies outside what it can measure."""


# What a missing acknowledge looks like depends on the port: ESP32 and SoftI2C say ENODEV, RP2
# says EIO for every NACK (ports/rp2/machine_i2c.c), so the two cannot be told apart here.
_NOT_ACKNOWLEDGED = (errno.ENODEV, errno.EIO)


class Sensor:
    """A chip on `bus`, with the name that errors have. Raises SensorError, and nothing else, for
    what chip or bus do: each chip's own `_begin()` and `_collect(reading)` may let OSErrors pass.

    The caller waits: `start()`, CONVERSION_MS, `finish(reading)`. Nothing sleeps.
    """

    def __init__(self, bus, name):
        self.bus = bus
        self.name = name

    def start(self):
        """Begin one measurement of everything that the chip measures."""
        try:
            self._begin()
        except OSError as error:
            self._raise_from_bus(error)

    def finish(self, reading):
        """Fetch, check and convert what `start()` began; fill `reading` or raise."""
        try:
            self._collect(reading)
        except OSError as error:
            self._raise_from_bus(error)

    def _begin(self):
        pass

    def _raise_from_bus(self, error):
        code = error.args[0] if error.args else 0
        if code in _NOT_ACKNOWLEDGED:
            self._raise(SensorAbsent, "does not answer")
        if code == errno.ETIMEDOUT:
            self._raise(SensorBusError, "the bus is stuck")
        self._raise(SensorBusError, "bus error %s" % code)

    def _raise(self, kind, text):
        raise kind("%s: %s" % (self.name, text))

    def _check(self, value, lowest, highest, unit):
        if not lowest <= value <= highest:
            self._raise(SensorRangeError, "%s %s is out of range" % (value, unit))
