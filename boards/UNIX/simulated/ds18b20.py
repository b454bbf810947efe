"""A Maxim DS18B20 at the level of time slots, and the one-wire line that such chips hang on.

The chip knows its number, SEARCH, READ, MATCH and SKIP ROM, CONVERT T, READ and WRITE
SCRATCHPAD and READ POWER SUPPLY. The alarm and the EEPROM are left out.
Source: DS18B20 data sheet: "Operation - measuring temperature" (table 1), "Memory",
"Configuration register" (table 2), "ROM commands", "DS18B20 function commands".
"""

from simulated.onewire import OneWire

_FAMILY = 0x28
_SEARCH_ROM, _READ_ROM, _MATCH_ROM, _SKIP_ROM = 0xF0, 0x33, 0x55, 0xCC
_CONVERT, _READ, _WRITE, _READ_POWER = 0x44, 0xBE, 0x4E, 0xB4
# +85 °C, TH and TL as delivered, 12 bits, and what the reserved bytes hold
_POWER_ON = b"\x50\x05\x4b\x46\x7f\xff\x0c\x10"
# The longest conversion by the bits that are set, 9 to 12
_CONVERSION_MS = (94, 188, 375, 750)
_NEVER = -1
_BUSY = 2  # low while it converts, else high


def with_crc(data):
    return bytes(data) + bytes([OneWire(None).crc8(data)])


class Line:
    """What is at the end of the pin. Faults, for tests: `stick()`, `flip(n)`, `chips.remove`."""

    def __init__(self):
        self.chips = []
        self.stuck = False
        self._slots = 0
        self._flip_at = _NEVER

    def stick(self, stuck=True):
        """Hold the line low: to the master that looks like presence, and like zeros."""
        self.stuck = stuck

    def flip(self, slot=0):
        """Slot number `slot` from now (0: the next) reaches the master inverted."""
        self._flip_at = self._slots + slot

    def reset(self):
        if self.stuck:
            return True
        for chip in self.chips:
            chip.reset()
        return bool(self.chips)

    def slots(self, data, bits):
        answer = bytearray(len(data))
        for index in range(len(data)):
            for at in range(bits):
                answer[index] |= self._slot(data[index] >> at & 1) << at
        return answer

    def _slot(self, level):
        number = self._slots
        self._slots += 1
        if self.stuck:
            return 0
        for chip in self.chips:
            level &= chip.drive()
        for chip in self.chips:
            chip.take(level)
        return level ^ 1 if number == self._flip_at else level


class DS18B20:
    """`air` has temperature_c(); `clock` ticks_ms() and ticks_diff(). `parasite`: nothing is on
    its VDD, and the line alone cannot feed a conversion."""

    def __init__(self, clock, air, serial=0x0000075A1B2C, parasite=False):
        self._clock = clock
        self._air = air
        self._parasite = parasite
        number = bytes([_FAMILY]) + bytes(serial >> shift & 0xFF for shift in range(0, 48, 8))
        self.rom = with_crc(number)
        self.power_on()

    def power_on(self):
        """What losing its power does."""
        self._next = 1
        self._life = self._pad = None
        self._store(_POWER_ON)
        self._pending = None
        self._since = 0

    def reset(self):
        self._life = self._live()
        self._next = next(self._life)

    def drive(self):
        """The level at which it leaves the line in the slot that begins: 0 or 1."""
        return 1 - self._is_busy() if self._next == _BUSY else self._next

    def take(self, level):
        """The line was at `level` in this slot."""
        if self._life:
            self._next = self._life.send(level)

    def _live(self):
        """From one reset to the next: yields what `drive` tells, is sent the level."""
        selected = yield from self._select()
        if selected:
            function = yield from _receive(8)
            if function == _CONVERT:
                self._convert()
                while True:
                    yield _BUSY
            elif function == _READ:
                self._settle()
                yield from _send(self._pad)
            elif function == _WRITE:
                yield from self._take_settings()
            elif function == _READ_POWER:
                yield 0 if self._parasite else 1
        while True:
            yield 1

    def _select(self):
        command = yield from _receive(8)
        if command == _SEARCH_ROM:
            return (yield from self._be_found())
        if command == _READ_ROM:
            yield from _send(self.rom)
        elif command == _MATCH_ROM:
            for byte in self.rom:
                if (yield from _receive(8)) != byte:
                    return False
        elif command != _SKIP_ROM:
            return False
        return True

    def _be_found(self):
        for at in range(64):
            bit = self.rom[at >> 3] >> (at & 7) & 1
            yield bit
            yield 1 - bit
            if (yield 1) != bit:
                return False
        return True

    def _take_settings(self):
        pad = bytearray(self._pad[:8])
        for at in (2, 3, 4):
            pad[at] = yield from _receive(8)
        pad[4] = pad[4] & 0x60 | 0x1F
        self._store(pad)

    # -- conversion

    def _resolution(self):
        return self._pad[4] >> 5 & 3

    def _convert(self):
        if not self._parasite:
            spare = 3 - self._resolution()
            raw = int(self._air.temperature_c() * 16 + 2000.5) - 2000
            self._pending = raw >> spare << spare
            self._since = self._clock.ticks_ms()

    def _is_busy(self):
        self._settle()
        return self._pending is not None

    def _settle(self):
        elapsed_ms = self._clock.ticks_diff(self._clock.ticks_ms(), self._since)
        if self._pending is not None and elapsed_ms >= _CONVERSION_MS[self._resolution()]:
            raw, self._pending = self._pending, None
            self._store(bytes([raw & 0xFF, raw >> 8 & 0xFF]) + self._pad[2:8])

    def _store(self, pad):
        self._pad = with_crc(pad)


def _receive(bits):
    value = 0
    for at in range(bits):
        value |= (yield 1) << at
    return value


def _send(data):
    for byte in data:
        for at in range(8):
            yield byte >> at & 1
