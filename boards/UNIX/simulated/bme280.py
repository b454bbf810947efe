"""A Bosch BME280 or BMP280 at register level, as the data sheets describe them.

It holds the truth about its air, so its formulas are the data sheets' floating-point ones turned
round: from temperature, pressure and humidity to what the converters would have given. Forced
and sleep mode are here; normal mode and the filter are not, and oversampling changes the time
and the number of valid bits, not the noise, of which there is none.
Source: Bosch BST-BME280-DS002 and BST-BMP280-DS001: memory map; "Measurement time"; compensation
formulas in double precision (BME280 §8.1); resolution with the filter off (BMP280 §3.3).
"""

BME280_ID = 0x60
BMP280_ID = 0x58

_ID, _RESET, _CTRL_HUM, _STATUS, _CTRL_MEAS, _CONFIG, _DATA = (
    0xD0,
    0xE0,
    0xF2,
    0xF3,
    0xF4,
    0xF5,
    0xF7,
)
_RESET_WORD = 0xB6
_START_MS = 2
_SKIPPED = 0x80000

# The data sheets' own example for temperature and pressure, usual values for humidity.
EXAMPLE_T = (27504, 26435, -1000)
EXAMPLE_P = (36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)
EXAMPLE_H = (75, 362, 0, 313, 50, 30)


def _samples(setting):
    """Oversampling: 0 (skipped), 1, 2, 4, 8, 16."""
    return 0 if setting == 0 else 1 << (min(setting, 5) - 1)


class Converters:
    """Physical values to raw ones, for one set of trimming values."""

    def __init__(self, t, p, h):
        self._t, self._p, self._h = t, p, h

    def temperature(self, celsius):
        """(raw, fine): fine is 5120 times the temperature."""
        t1, t2, t3 = self._t
        fine = celsius * 5120
        step = fine / t2
        for _ in range(3):
            step -= (step * t2 + step * step * t3 / 64 - fine) / (t2 + step * t3 / 32)
        return (step + t1 / 1024) * 16384, fine

    def pressure(self, pascal, fine):
        p1, p2, p3, p4, p5, p6, p7, p8, p9 = self._p
        half = fine / 2 - 64000
        offset = half * half * p6 / 32768 + half * p5 * 2
        offset = offset / 4 + p4 * 65536
        scale = (p3 * half * half / 524288 + p2 * half) / 524288
        scale = (1 + scale / 32768) * p1
        plain = pascal
        for _ in range(4):
            plain = pascal - (p9 * plain * plain / 2147483648 + plain * p8 / 32768 + p7) / 16
        return 1048576 - offset / 4096 - plain * scale / 6250

    def humidity(self, percent, fine):
        h1, h2, h3, h4, h5, h6 = self._h
        fine -= 76800
        value = percent
        for _ in range(6):
            value = percent / (1 - h1 * value / 524288)
        slope = h2 / 65536 * (1 + h6 / 67108864 * fine * (1 + h3 / 67108864 * fine))
        return value / slope + h4 * 64 + h5 / 16384 * fine


class BME280:
    """`air` has temperature_c(), pressure_pa(), humidity_percent(); `clock` ticks_ms() and
    ticks_diff(). `freeze()` makes the chip repeat its last values for ever.
    """

    def __init__(self, clock, air, chip_id=BME280_ID, t=EXAMPLE_T, p=EXAMPLE_P, h=EXAMPLE_H):
        self._clock = clock
        self._air = air
        self._has_humidity = chip_id == BME280_ID
        self._converters = Converters(t, p, h)
        self._registers = bytearray(256)
        self._registers[_ID] = chip_id
        self._burn_calibration(t, p, h)
        self._pointer = 0
        self._busy_since = 0
        self._busy_ms = 0
        self._samples_h = 0
        self._frozen = False
        self._raw = (_SKIPPED, _SKIPPED, _SKIPPED >> 4)
        self.power_on()
        self._busy_ms = 0

    def freeze(self):
        self._frozen = True

    def power_on(self):
        """What losing power, or the reset word, does: settings gone, data `skipped`."""
        for register in (_CTRL_HUM, _CTRL_MEAS, _CONFIG):
            self._registers[register] = 0
        self._store(_SKIPPED, _SKIPPED, _SKIPPED >> 4)
        self._begin(0x01, _START_MS)
        self._samples_h = 0

    # -- the bus's side

    def write(self, data):
        """A register's address, then values and further pairs of address and value."""
        self._settle()
        if len(data):
            self._pointer = data[0]
        for index in range(1, len(data), 2):
            self._set(data[index - 1], data[index])
        return True

    def read_into(self, buffer):
        self._settle()
        for index in range(len(buffer)):
            buffer[index] = self._registers[self._pointer]
            self._pointer = (self._pointer + 1) & 0xFF
        return True

    # -- registers

    def _burn_calibration(self, t, p, h):
        for index, value in enumerate(t + p):
            self._put_word(0x88 + 2 * index, value)
        if self._has_humidity:
            registers = self._registers
            registers[0xA1] = h[0]
            self._put_word(0xE1, h[1])
            registers[0xE3] = h[2]
            registers[0xE4] = h[3] >> 4 & 0xFF
            registers[0xE5] = (h[3] & 0x0F) | (h[4] & 0x0F) << 4
            registers[0xE6] = h[4] >> 4 & 0xFF
            registers[0xE7] = h[5] & 0xFF

    def _put_word(self, register, value):
        self._registers[register] = value & 0xFF
        self._registers[register + 1] = value >> 8 & 0xFF

    def _set(self, register, value):
        if register == _RESET and value == _RESET_WORD:
            self.power_on()
        elif register == _CONFIG or (register == _CTRL_HUM and self._has_humidity):
            self._registers[register] = value
        elif register == _CTRL_MEAS:
            self._registers[register] = value
            self._samples_h = _samples(self._registers[_CTRL_HUM] & 7)
            if value & 3 in (1, 2):
                self._convert(_samples(value >> 5), _samples(value >> 2 & 7))

    # -- time

    def _begin(self, status, ms):
        self._registers[_STATUS] = status
        self._busy_since, self._busy_ms = self._clock.ticks_ms(), ms

    def _convert(self, samples_t, samples_p):
        """Take the sample now; it appears in the registers when the longest time is over."""
        if not self._frozen:
            self._raw = self._sample(samples_t, samples_p)
        us = 1250 + 2300 * samples_t
        us += 2300 * samples_p + 575 if samples_p else 0
        us += 2300 * self._samples_h + 575 if self._samples_h else 0
        self._begin(0x08, (us + 999) // 1000)

    def _settle(self):
        """Do what has become due since the last transfer."""
        status = self._registers[_STATUS]
        now = self._clock.ticks_ms()
        if status and self._clock.ticks_diff(now, self._busy_since) >= self._busy_ms:
            self._registers[_STATUS] = 0
            if status & 0x08:
                self._registers[_CTRL_MEAS] &= 0xFC
                self._store(*self._raw)

    # -- values

    def _sample(self, samples_t, samples_p):
        raw_t, fine = self._converters.temperature(self._air.temperature_c())
        raw_p = raw_h = _SKIPPED
        if samples_p:
            raw_p = _rounded(self._converters.pressure(self._air.pressure_pa(), fine), samples_p)
        raw_t = _rounded(raw_t, samples_t) if samples_t else _SKIPPED
        raw_h = _SKIPPED >> 4
        if self._samples_h:
            raw_h = self._converters.humidity(self._air.humidity_percent(), fine)
            raw_h = min(max(int(raw_h + 0.5), 0), 0xFFFF)
        return raw_t, raw_p, raw_h

    def _store(self, raw_t, raw_p, raw_h):
        registers = self._registers
        for register, raw in ((_DATA, raw_p), (_DATA + 3, raw_t)):
            registers[register] = raw >> 12
            registers[register + 1] = raw >> 4 & 0xFF
            registers[register + 2] = raw << 4 & 0xF0
        if self._has_humidity:
            registers[_DATA + 6] = raw_h >> 8
            registers[_DATA + 7] = raw_h & 0xFF


def _rounded(raw, samples):
    """One sample has 16 valid bits of the 20, each doubling one more."""
    step = 16
    while samples > 1 and step > 1:
        samples, step = samples >> 1, step >> 1
    return min(max(int(raw / step + 0.5) * step, 0), 0xFFFFF)
