"""Sensirion SHT40, SHT41, SHT43, SHT45: temperature and relative humidity over I2C.

The caller waits: `start()`, CONVERSION_MS, `finish(reading)`. Nothing here sleeps, and neither
call allocates when all goes well. The chip protects each word with a CRC of its own, so a
damaged answer is refused, never used.
Source: Sensirion, SHT4x data sheet, version 6.
"""

from micropython import const

from drivers.reading import NOT_MEASURED, SensorChecksumError, SensorRangeError, from_bus

# Commands. Source: data sheet, "Overview of I2C commands".
_MEASURE_HIGH_PRECISION = const(b"\xfd")
_READ_SERIAL_NUMBER = const(b"\x89")
_SOFT_RESET = const(b"\x94")

# x^8 + x^5 + x^4 + 1. Source: data sheet, "Checksum calculation".
_CRC_POLYNOMIAL = const(0x31)
_CRC_START = const(0xFF)

# The chip works from -40 to 125 °C; half a degree more is its tolerance. The lowest and the
# highest code (-45 and 130 °C) are what a broken element gives. Source: data sheet, "Temperature".
_LOWEST_CENTI_C = const(-4050)
_HIGHEST_CENTI_C = const(12550)
# The formula reaches from -6 to 119 %: a little outside 0..100 is the tolerance of a dry or a wet
# sensor and is cropped, as the data sheet allows; more than that is a fault.
_HUMIDITY_TOLERANCE = const(500)
_FULL_HUMIDITY = const(10000)


def crc8(data, start, end):
    """The CRC-8 of data[start:end]. Allocates nothing."""
    crc = _CRC_START
    for index in range(start, end):
        crc ^= data[index]
        for _ in range(8):
            crc = (crc << 1) ^ _CRC_POLYNOMIAL if crc & 0x80 else crc << 1
        crc &= 0xFF
    return crc


def temperature_centi_c(raw):
    """-45 + 175 * raw / 65535 °C, rounded to 0.01 °C; 17500/65535 is shortened to 3500/13107,
    so that the product stays below 2^30.
    Source: data sheet, "Conversion of signal output"."""
    return (raw * 3500 + 6553) // 13107 - 4500


def humidity_centi_percent(raw):
    """-6 + 125 * raw / 65535 %, rounded to 0.01 %, not cropped.
    Source: data sheet, "Conversion of signal output"."""
    return (raw * 2500 + 6553) // 13107 - 600


class SHT4x:
    """One SHT4x. Raises SensorError, and nothing else, for what the chip or the bus does."""

    # At most 8.3 ms at high precision (data sheet, "Timings"); one more for the tick in which
    # the caller's millisecond counter stood.
    CONVERSION_MS = 10
    # At most 1 ms after a soft reset (same place).
    RESET_MS = 2

    def __init__(self, bus, address=0x44):
        self._bus = bus
        self._address = address
        self._answer = bytearray(6)

    def start(self):
        """Begin one measurement of both values at high precision."""
        self._command(_MEASURE_HIGH_PRECISION)

    def finish(self, reading):
        """Fetch, check and convert what `start()` began; fill `reading` or raise."""
        answer = self._fetch()
        temperature = temperature_centi_c(answer[0] << 8 | answer[1])
        humidity = humidity_centi_percent(answer[3] << 8 | answer[4])
        if not _LOWEST_CENTI_C <= temperature <= _HIGHEST_CENTI_C:
            raise SensorRangeError("SHT4x: %d centi-degrees is out of range" % temperature)
        if not -_HUMIDITY_TOLERANCE <= humidity <= _FULL_HUMIDITY + _HUMIDITY_TOLERANCE:
            raise SensorRangeError("SHT4x: %d centi-percent is out of range" % humidity)
        reading.fill(temperature, min(max(humidity, 0), _FULL_HUMIDITY), NOT_MEASURED)

    def reset(self):
        """Put the chip back to its power-on state; it is ready again after RESET_MS."""
        self._command(_SOFT_RESET)

    def request_serial_number(self):
        """Ask for the serial number; it can be read after RESET_MS."""
        self._command(_READ_SERIAL_NUMBER)

    def read_serial_number(self):
        """The 32-bit number that Sensirion gave this very chip."""
        answer = self._fetch()
        high = answer[0] << 8 | answer[1]
        return high << 16 | answer[3] << 8 | answer[4]

    def _command(self, command):
        try:
            self._bus.writeto(self._address, command)
        except OSError as error:
            raise from_bus(error, "SHT4x", self._address)

    def _fetch(self):
        # While it converts, the chip acknowledges no read: that arrives as "does not answer".
        answer = self._answer
        try:
            self._bus.readfrom_into(self._address, answer)
        except OSError as error:
            raise from_bus(error, "SHT4x", self._address)
        if crc8(answer, 0, 2) != answer[2] or crc8(answer, 3, 5) != answer[5]:
            raise SensorChecksumError("SHT4x at 0x%02x: wrong CRC" % self._address)
        return answer
