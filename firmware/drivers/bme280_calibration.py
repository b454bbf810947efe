"""From the converters of a BME280 or BMP280 to temperature, pressure and humidity.

Integers only, the data sheets' 32-bit formulas. On a 32-bit board temperature (up to 100 °C) and
humidity stay inside small ints (2^30); pressure passes through three or four larger ones (below
2^32: some hundred bytes of garbage), on the sampling path and never in the control tick. A 64-bit
host allocates nothing. The 64-bit formula for pressure would gain 3 Pa and is left out.
Source: Bosch BST-BME280-DS002 and BST-BMP280-DS001; the formulas are the same in both.
"""

from struct import unpack_from


class Calibration:
    """The trimming values of one chip, and its compensation formulas.

    `data` holds registers 0x88 to 0xA1, `humidity` 0xE1 to 0xE7 (None: a BMP280).
    Source: BME280 §4.2.2 table 16 and §4.2.3; BMP280 §3.11.2, §3.12 and appendix 8.2.
    """

    def __init__(self, data, humidity):
        # Tuples, because each attribute's name costs heap
        self.t = unpack_from("<Hhh", data, 0)
        self.p = unpack_from("<Hhhhhhhhh", data, 6)
        self.h = None if humidity is None else _humidity_values(data[25], humidity)
        self.has_humidity = humidity is not None

    def is_blank(self):
        """Whether these can't be the values of a working chip: all zero, or all ones."""
        return self.t[0] in (0, 0xFFFF) or self.t[1] in (0, -1) or self.p[0] in (0, 0xFFFF)

    def fine_temperature(self, raw):
        """The temperature in 1/5120 °C, which the two other formulas need."""
        t1, t2, t3 = self.t
        first = (((raw >> 3) - (t1 << 1)) * t2) >> 11
        distance = (raw >> 4) - t1
        return first + ((((distance * distance) >> 12) * t3) >> 14)

    def pressure_pa(self, raw, fine):
        """Pascal, with the 32-bit formula; up to 3 Pa from the 64-bit one. 0: not computable."""
        p1, p2, p3, p4, p5, p6, p7, p8, p9 = self.p
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

    def humidity_q22(self, raw, fine):
        """Relative humidity in % * 2^22, neither cropped nor rounded."""
        h1, h2, h3, h4, h5, h6 = self.h
        fine -= 76800
        sample = ((raw << 14) - (h4 << 20) - h5 * fine + 16384) >> 15
        slope = (((fine * h6) >> 10) * (((fine * h3) >> 11) + 32768)) >> 10
        value = sample * (((slope + 2097152) * h2 + 8192) >> 14)
        return value - (((((value >> 15) * (value >> 15)) >> 7) * h1) >> 4)


def _humidity_values(h1, data):
    """h1 to h6; h4 and h5 are signed 12-bit values that share the byte between them."""
    h2, h3, high4, shared, high5, h6 = unpack_from("<hBbBbb", data, 0)
    return h1, h2, h3, high4 << 4 | shared & 0x0F, high5 << 4 | shared >> 4, h6
