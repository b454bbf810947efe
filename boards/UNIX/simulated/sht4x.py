"""A Sensirion SHT4x, as its data sheet describes it: commands, CRC, timing, serial number.

While it converts or resets it acknowledges nothing; an answer can be read once. Heater commands
are left out: no acknowledge.
Source: Sensirion, SHT4x data sheet ("Overview of I2C commands", "Timings", "Conversion of signal
output", "Checksum calculation").
"""

# command: longest conversion in whole milliseconds (8.3, 4.5 and 1.6 in the data sheet)
_MEASURE_MS = {0xFD: 9, 0xF6: 5, 0xE0: 2}
_SERIAL_NUMBER = 0x89
_SOFT_RESET = 0x94
_SHORT_MS = 1


def _crc8(word):
    crc = 0xFF
    for byte in word:
        crc ^= byte
        for _ in range(8):
            crc = ((crc << 1) ^ 0x31 if crc & 0x80 else crc << 1) & 0xFF
    return crc


def _with_crc(value):
    word = bytes([value >> 8 & 0xFF, value & 0xFF])
    return word + bytes([_crc8(word)])


def _to_code(part):
    return min(max(int(part * 65535 + 0.5), 0), 65535)


class SHT4x:
    """`air` has `temperature_c()` and `humidity_percent()`; `clock` ticks_ms() and ticks_diff().

    `freeze()` makes the chip repeat its last values for ever.
    """

    def __init__(self, clock, air, serial_number=0x12345678):
        self._clock = clock
        self._air = air
        self._serial_number = serial_number
        self._answer = None
        self._busy_since = 0
        self._busy_ms = 0
        self._codes = (0, 0)
        self._frozen = False

    def freeze(self):
        self._frozen = True

    def write(self, data):
        if self._is_busy() or len(data) > 1:
            return False
        return len(data) == 0 or self._obey(data[0])

    def read_into(self, buffer):
        if self._is_busy() or self._answer is None:
            return False
        for index in range(len(buffer)):
            # Past the end nobody pulls the line down.
            buffer[index] = self._answer[index] if index < len(self._answer) else 0xFF
        self._answer = None
        return True

    def _obey(self, command):
        if command in _MEASURE_MS:
            self._measure()
            self._be_busy(_MEASURE_MS[command])
        elif command == _SERIAL_NUMBER:
            number = self._serial_number
            self._answer = _with_crc(number >> 16) + _with_crc(number & 0xFFFF)
            self._be_busy(_SHORT_MS)
        elif command == _SOFT_RESET:
            self._answer = None
            self._be_busy(_SHORT_MS)
        else:
            return False
        return True

    def _measure(self):
        if not self._frozen:
            self._codes = (
                _to_code((self._air.temperature_c() + 45) / 175),
                _to_code((self._air.humidity_percent() + 6) / 125),
            )
        self._answer = _with_crc(self._codes[0]) + _with_crc(self._codes[1])

    def _be_busy(self, ms):
        self._busy_since, self._busy_ms = self._clock.ticks_ms(), ms

    def _is_busy(self):
        return self._clock.ticks_diff(self._clock.ticks_ms(), self._busy_since) < self._busy_ms
