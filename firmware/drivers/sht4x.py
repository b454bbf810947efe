"""Sensirion SHT40, SHT41, SHT43, SHT45: temperature and relative humidity over I2C.

Neither call allocates when all goes well. The chip protects each word with a CRC of its own, so a
damaged answer is refused, never used.
Source: Sensirion, SHT4x data sheet, version 6.
"""

from micropython import const

from drivers.reading import NOT_MEASURED, Sensor, SensorChecksumError

# Source: data sheet, "Overview of I2C commands".
_MEASURE_HIGH_PRECISION = const(b"\xfd")

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


class SHT4x(Sensor):
    """One SHT4x."""

    # At most 8.3 ms at high precision (data sheet, "Timings"); one more for the tick in which
    # the caller's millisecond counter stood.
    CONVERSION_MS = 10

    def __init__(self, bus, address=0x44):
        super().__init__(bus, "SHT4x at 0x%02x" % address)
        self.address = address
        self._answer = bytearray(6)

    def _begin(self):
        self.bus.writeto(self.address, _MEASURE_HIGH_PRECISION)

    def _collect(self, reading):
        # While it converts, the chip acknowledges no read: that arrives as "does not answer".
        answer = self._answer
        self.bus.readfrom_into(self.address, answer)
        if crc8(answer, 0, 2) != answer[2] or crc8(answer, 3, 5) != answer[5]:
            self._raise(SensorChecksumError, "wrong CRC")
        temperature = temperature_centi_c(answer[0] << 8 | answer[1])
        humidity = humidity_centi_percent(answer[3] << 8 | answer[4])
        self._check(temperature, _LOWEST_CENTI_C, _HIGHEST_CENTI_C, "centi-degrees")
        tolerated = _FULL_HUMIDITY + _HUMIDITY_TOLERANCE
        self._check(humidity, -_HUMIDITY_TOLERANCE, tolerated, "centi-percent")
        reading.fill(temperature, min(max(humidity, 0), _FULL_HUMIDITY), NOT_MEASURED)
