"""From the converters of a BME280 or BMP280 to temperature, pressure and humidity.

Integers only, the data sheets' 32-bit formulas. On a 32-bit board temperature (up to 100 °C) and
humidity stay inside small ints (2^30); pressure passes through three or four larger ones (below
2^32: some hundred bytes of garbage), on the sampling path and never in the control tick. A 64-bit
host allocates nothing. The 64-bit formula for pressure would gain 3 Pa and is left out.
Source: Bosch BST-BME280-DS002 and BST-BMP280-DS001; the formulas are the same in both.
"""


def _unsigned(data, index):
    return data[index] | data[index + 1] << 8


def _signed(data, index):
    value = data[index] | data[index + 1] << 8
    return value - 65536 if value & 0x8000 else value


def _signed_bits(value, bits):
    return value - (1 << bits) if value >> (bits - 1) else value


class Calibration:
    """The trimming values of one chip, and its compensation formulas.

    `data` holds registers 0x88 to 0xA1, `humidity` 0xE1 to 0xE7 (None: a BMP280).
    Source: BME280 §4.2.2 table 16 and §4.2.3; BMP280 §3.11.2, §3.12 and appendix 8.2.
    """

    def __init__(self, data, humidity):
        self.t1 = _unsigned(data, 0)
        self.t2 = _signed(data, 2)
        self.t3 = _signed(data, 4)
        self.p1 = _unsigned(data, 6)
        self.p2 = _signed(data, 8)
        self.p3 = _signed(data, 10)
        self.p4 = _signed(data, 12)
        self.p5 = _signed(data, 14)
        self.p6 = _signed(data, 16)
        self.p7 = _signed(data, 18)
        self.p8 = _signed(data, 20)
        self.p9 = _signed(data, 22)
        self.has_humidity = humidity is not None
        if humidity is not None:
            self._take_humidity(data[25], humidity)

    def _take_humidity(self, h1, data):
        # h4 and h5 are signed 12-bit values that share the byte between them.
        self.h1 = h1
        self.h2 = _signed(data, 0)
        self.h3 = data[2]
        self.h4 = _signed_bits(data[3] << 4 | data[4] & 0x0F, 12)
        self.h5 = _signed_bits(data[5] << 4 | data[4] >> 4, 12)
        self.h6 = _signed_bits(data[6], 8)

    def is_blank(self):
        """Whether these can't be the values of a working chip: all zero, or all ones."""
        return self.t1 in (0, 0xFFFF) or self.t2 in (0, -1) or self.p1 in (0, 0xFFFF)

    def fine_temperature(self, raw):
        """The temperature in 1/5120 °C, which the two other formulas need."""
        first = (((raw >> 3) - (self.t1 << 1)) * self.t2) >> 11
        distance = (raw >> 4) - self.t1
        return first + ((((distance * distance) >> 12) * self.t3) >> 14)

    def pressure_pa(self, raw, fine):
        """Pascal, with the 32-bit formula; up to 3 Pa from the 64-bit one. 0: not computable."""
        half = (fine >> 1) - 64000
        square = (half >> 2) * (half >> 2)
        offset = (square >> 11) * self.p6 + ((half * self.p5) << 1)
        offset = (offset >> 2) + (self.p4 << 16)
        scale = (((self.p3 * (square >> 13)) >> 3) + ((self.p2 * half) >> 1)) >> 18
        scale = ((32768 + scale) * self.p1) >> 15
        if scale <= 0:
            return 0
        pressure = (1048576 - raw - (offset >> 12)) * 3125
        if pressure < 0x80000000:
            pressure = (pressure << 1) // scale
        else:
            pressure = pressure // scale * 2
        eighth = pressure >> 3
        correction = (self.p9 * ((eighth * eighth) >> 13)) >> 12
        correction += ((pressure >> 2) * self.p8) >> 13
        return pressure + ((correction + self.p7) >> 4)

    def humidity_q22(self, raw, fine):
        """Relative humidity in % * 2^22, neither cropped nor rounded."""
        fine -= 76800
        sample = ((raw << 14) - (self.h4 << 20) - self.h5 * fine + 16384) >> 15
        slope = (((fine * self.h6) >> 10) * (((fine * self.h3) >> 11) + 32768)) >> 10
        value = sample * (((slope + 2097152) * self.h2 + 8192) >> 14)
        return value - (((((value >> 15) * (value >> 15)) >> 7) * self.h1) >> 4)
