"""MicroPython's module `onewire`, which the unix port lacks: the same names, the same answers.

`line` takes the pin's place: `reset()` tells whether a chip answered, `slots(data, bits)` runs
one time slot for each bit, the lowest first, and returns what the line showed in them. Reading
is writing ones.
Source: Maxim application notes 126 (slots), 187 (search), 27 (CRC).
"""

_SEARCH_ROM = 0xF0
_MATCH_ROM = 0x55
_ONE = b"\x01"
_ZERO = b"\x00"


class OneWireError(Exception):
    pass


class OneWire:
    SEARCH_ROM = _SEARCH_ROM
    MATCH_ROM = _MATCH_ROM
    SKIP_ROM = 0xCC

    def __init__(self, line):
        self._line = line

    def reset(self, required=False):
        """Whether a chip is there; OneWireError if none is though it is `required`."""
        present = self._line.reset()
        if required and not present:
            raise OneWireError
        return present

    def readbit(self):
        return self._line.slots(_ONE, 1)[0]

    def readbyte(self):
        return self._line.slots(b"\xff", 8)[0]

    def readinto(self, buffer):
        buffer[:] = self._line.slots(b"\xff" * len(buffer), 8)

    def writebit(self, value):
        self._line.slots(_ONE if value else _ZERO, 1)

    def writebyte(self, value):
        self._line.slots(bytes([value]), 8)

    def write(self, buffer):
        self._line.slots(buffer, 8)

    def select_rom(self, rom):
        self.reset()
        self.writebyte(_MATCH_ROM)
        self.write(rom)

    def scan(self):
        """The numbers of all chips, a list of bytearrays of eight."""
        found = []
        fork = 64
        rom = bytearray(8)
        while fork is not None and len(found) < 64:
            rom, fork = self._search(rom, fork)
            if rom is None:
                break
            found.append(rom)
        return found

    def _search(self, last, fork):
        """The next number after `last`, and the last bit at which another way was left."""
        if not self.reset():
            return None, None
        self.writebyte(_SEARCH_ROM)
        rom, left = bytearray(8), None
        for at in range(64):
            is_one, is_zero = self.readbit(), self.readbit()
            if is_one and is_zero:
                return None, None  # nobody answers
            bit = is_one
            if not is_one and not is_zero:
                # Both are there: the way not yet gone at the last fork, before it the old one
                bit = 1 if at == fork else last[at >> 3] >> (at & 7) & 1 if at < fork else 0
                if not bit:
                    left = at
            self.writebit(bit)
            rom[at >> 3] |= bit << (at & 7)
        return rom, left

    def crc8(self, data):
        crc = 0
        for byte in data:
            crc ^= byte
            for _ in range(8):
                crc = crc >> 1 ^ 0x8C if crc & 1 else crc >> 1
        return crc
