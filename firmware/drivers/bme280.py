"""Bosch BME280 and BMP280: temperature and pressure, on the BME280 humidity too, over I2C.

Each measurement is a forced one, after which the chip sleeps and does not warm itself. Neither
chip sends a checksum, so everything is read twice and must agree: the registers stand still
between two forced measurements.

Source: Bosch BST-BME280-DS002 (BME280) and BST-BMP280-DS001 (BMP280); the registers are the same
in both, as far as both have them.
"""

from struct import unpack_from

from micropython import const

from drivers.reading import (
    NOT_MEASURED,
    Sensor,
    SensorAbsent,
    SensorBusError,
    SensorChecksumError,
    SensorRangeError,
)

# Registers. Source: BME280 §5.3, BMP280 §4.2, "Memory map".
_CALIBRATION = const(0x88)
_CHIP_ID = const(0xD0)
_HUMIDITY_CALIBRATION = const(0xE1)
_CTRL_HUM = const(0xF2)
_STATUS = const(0xF3)
_CTRL_MEAS = const(0xF4)
_CONFIG = const(0xF5)
_DATA = const(0xF7)

_BME280_ID = const(0x60)
_BMP280_IDS = const((0x58, 0x56, 0x57))  # mass production, and the two kinds of samples

_COPYING_CALIBRATION = const(0x01)
_MEASURING = const(0x08)

_SLEEP = const(b"\x00")
_FILTER_OFF = const(b"\x00")
_HUMIDITY_ONCE = const(b"\x01")
_FORCED_ALL_ONCE = const(b"\x25")  # one temperature sample, one pressure sample, forced mode

# What a data register holds after a skipped measurement or a reset. It is also an honest value
# (26.5 °C, 80 kPa or 55 % with usual calibrations), so one alone proves nothing: whether a
# measurement was skipped is read from the settings, which a reset clears.
_SKIPPED = const(0x80000)
_SETTINGS_MASK = const(0xFC)  # of ctrl_meas: all but the mode, which returns to sleep by itself
_HUMIDITY_MASK = const(0x07)

# Operating ranges (BME280 §1, table 1 and 3), the temperature's with half a degree of tolerance.
_LOWEST_CENTI_C = const(-4050)
_HIGHEST_CENTI_C = const(8550)
_LOWEST_PA = const(30000)
_HIGHEST_PA = const(110000)
# In % * 2^22, the unit of the formula. The data sheet crops to 0..100 %; five percent
# beyond that is no longer tolerance but a fault.
_FULL_HUMIDITY = const(419430400)
_HUMIDITY_TOLERANCE = const(20971520)


class BME280(Sensor):
    """One BME280 or BMP280.

    The chip is identified and its calibration read at the first `start()`, and again at the
    first one after any error: it may have been absent, have lost its power or be another one.
    """

    # At most 9.3 ms for one sample of each (BME280 §9.1); one more for the tick in which the
    # caller's millisecond counter stood.
    CONVERSION_MS = 11

    def __init__(self, bus, address=0x76):
        super().__init__(bus, "BME280 at 0x%02x" % address)
        self.address = address
        self._state = bytearray(3)
        self._data = self._copy = None
        # The trimming values t1.., p1.., h1.. (h None: a BMP280), None: not known (any more)
        self._trimming = None

    def _begin(self):
        trimming = self._trimming
        # Whatever raises from here on: the next start() identifies the chip anew.
        self._trimming = None
        if trimming is None:
            trimming = self._identify()
        if trimming[2]:
            # Takes effect with the write to ctrl_meas (BME280 §5.4.3).
            self.bus.writeto_mem(self.address, _CTRL_HUM, _HUMIDITY_ONCE)
        self.bus.writeto_mem(self.address, _CTRL_MEAS, _FORCED_ALL_ONCE)
        self._trimming = trimming

    def _collect(self, reading):
        trimming = self._trimming
        if trimming is None:
            self._raise(SensorBusError, "no measurement was begun")
        self._trimming = None
        t, p, h = trimming
        self._check_done(h)
        data = self._read_twice(_DATA, self._data, self._copy)
        raw_pressure = data[0] << 12 | data[1] << 4 | data[2] >> 4
        raw_temperature = data[3] << 12 | data[4] << 4 | data[5] >> 4
        if raw_temperature == _SKIPPED and raw_pressure == _SKIPPED:
            self._raise(SensorRangeError, "measured nothing")
        fine = fine_temperature(t, raw_temperature)
        temperature = (fine * 5 + 128) >> 8
        # First of all, because out of its range the other formulas mean nothing.
        self._check(temperature, _LOWEST_CENTI_C, _HIGHEST_CENTI_C, "centi-degrees")
        pressure = pressure_pa(p, raw_pressure, fine)
        self._check(pressure, _LOWEST_PA, _HIGHEST_PA, "pascal")
        humidity = NOT_MEASURED
        if h:
            humidity = humidity_q22(h, data[6] << 8 | data[7], fine)
            tolerated = _FULL_HUMIDITY + _HUMIDITY_TOLERANCE
            self._check(humidity, -_HUMIDITY_TOLERANCE, tolerated, "% * 2^22")
            humidity = (min(max(humidity, 0), _FULL_HUMIDITY) >> 12) * 100 >> 10
        reading.fill(temperature, humidity, pressure)
        self._trimming = trimming

    def _check_done(self, has_humidity):
        state = self._state
        self.bus.readfrom_mem_into(self.address, _CTRL_HUM, state)  # and status, and ctrl_meas
        if state[1] & _MEASURING:
            self._raise(SensorBusError, "does not end to measure")
        kept = state[2] & _SETTINGS_MASK == _FORCED_ALL_ONCE[0] & _SETTINGS_MASK
        if not kept or (has_humidity and state[0] & _HUMIDITY_MASK != _HUMIDITY_ONCE[0]):
            self._raise(SensorRangeError, "skipped the measurement")

    def _identify(self):
        """Tell the chip by its id, put it to sleep, and return its trimming values.

        Source: BME280 §4.2.2 table 16 and §4.2.3; BMP280 §3.11.2, §3.12 and appendix 8.2.
        """
        chip = self._read(_CHIP_ID, bytearray(1))[0]
        if chip != _BME280_ID and chip not in _BMP280_IDS:
            self._raise(SensorAbsent, "neither BME280 nor BMP280 (id 0x%02x)" % chip)
        if self._read(_STATUS, bytearray(1))[0] & _COPYING_CALIBRATION:
            self._raise(SensorBusError, "still starting")
        # The filter is left on by others, and can be set for certain only in sleep mode.
        self.bus.writeto_mem(self.address, _CTRL_MEAS, _SLEEP)
        self.bus.writeto_mem(self.address, _CONFIG, _FILTER_OFF)
        data = self._read_twice(_CALIBRATION, bytearray(26), bytearray(26))
        t, p, h = unpack_from("<Hhh", data, 0), unpack_from("<Hhhhhhhhh", data, 6), None
        # All zero, or all ones: no working chip
        if t[0] in (0, 0xFFFF) or t[1] in (0, -1) or p[0] in (0, 0xFFFF):
            self._raise(SensorBusError, "has no calibration")
        size = 6
        if chip == _BME280_ID:
            size = 8
            shared = self._read_twice(_HUMIDITY_CALIBRATION, bytearray(7), bytearray(7))
            h = humidity_trimming(data[25], shared)
        self._data, self._copy = bytearray(size), bytearray(size)
        return t, p, h

    def _read_twice(self, register, buffer, copy):
        if self._read(register, buffer) != self._read(register, copy):
            self._raise(SensorChecksumError, "two readings differ")
        return buffer

    def _read(self, register, buffer):
        self.bus.readfrom_mem_into(self.address, register, buffer)
        return buffer


# Integers only, the data sheets' 32-bit formulas. On a 32-bit board temperature (up to 100 °C)
# and humidity stay inside small ints (2^30); pressure passes through three or four larger ones
# (below 2^32: some hundred bytes of garbage), on the sampling path and never in the control tick.
# A 64-bit host allocates nothing. The 64-bit formula for pressure would gain 3 Pa and is left out.
# Source: Bosch BST-BME280-DS002 and BST-BMP280-DS001; the formulas are the same in both.


def fine_temperature(t, raw):
    """The temperature in 1/5120 °C, which the two other formulas need."""
    t1, t2, t3 = t
    first = (((raw >> 3) - (t1 << 1)) * t2) >> 11
    distance = (raw >> 4) - t1
    return first + ((((distance * distance) >> 12) * t3) >> 14)


def pressure_pa(p, raw, fine):
    """Pascal, with the 32-bit formula; up to 3 Pa from the 64-bit one. 0: not computable."""
    p1, p2, p3, p4, p5, p6, p7, p8, p9 = p
    half = (fine >> 1) - 64000
    square = (half >> 2) * (half >> 2)
    offset = (square >> 11) * p6 + ((half * p5) << 1)
    offset = (offset >> 2) + (p4 << 16)
    scale = (((p3 * (square >> 13)) >> 3) + ((p2 * half) >> 1)) >> 18
    scale = ((32768 + scale) * p1) >> 15
    if scale <= 0:
        return 0
    pressure = (1048576 - raw - (offset >> 12)) * 3125
    if pressure < 0x80000000:
        pressure = (pressure << 1) // scale
    else:
        pressure = pressure // scale * 2
    eighth = pressure >> 3
    correction = (p9 * ((eighth * eighth) >> 13)) >> 12
    correction += ((pressure >> 2) * p8) >> 13
    return pressure + ((correction + p7) >> 4)


def humidity_q22(h, raw, fine):
    """Relative humidity in % * 2^22, neither cropped nor rounded."""
    h1, h2, h3, h4, h5, h6 = h
    fine -= 76800
    sample = ((raw << 14) - (h4 << 20) - h5 * fine + 16384) >> 15
    slope = (((fine * h6) >> 10) * (((fine * h3) >> 11) + 32768)) >> 10
    value = sample * (((slope + 2097152) * h2 + 8192) >> 14)
    return value - (((((value >> 15) * (value >> 15)) >> 7) * h1) >> 4)


def humidity_trimming(h1, data):
    """h1 to h6; h4 and h5 are signed 12-bit values that share the byte between them."""
    h2, h3, high4, shared, high5, h6 = unpack_from("<hBbBbb", data, 0)
    return h1, h2, h3, high4 << 4 | shared & 0x0F, high5 << 4 | shared >> 4, h6
