"""Maxim DS18B20: temperature by one wire.

The caller waits: `start()`, CONVERSION_MS, `finish(reading)`. Nothing here sleeps. `wire` is a
`onewire.OneWire`, whose time slots block for 12 ms in all. The chip needs its VDD connected: on
parasite power it does not convert without a strong pull-up, and is refused at its 85 °C.

An address is `28-` and the 12 digits of the serial number as Linux writes them. Those on a bus:

    ["28-" + bytes(reversed(rom[1:7])).hex() for rom in board.one_wire(0).scan()]

Source: DS18B20 data sheet: "Temperature register format", "Memory", "Configuration register",
"ROM commands", "DS18B20 function commands".
"""

from micropython import const

from drivers.reading import (
    NOT_MEASURED,
    SensorAbsent,
    SensorBusError,
    SensorChecksumError,
    SensorRangeError,
)

_MATCH_ROM = const(0x55)
_SKIP_ROM = const(0xCC)
_CONVERT = const(0x44)
_READ_SCRATCHPAD = const(0xBE)

# Of the configuration register all but the resolution is fixed. Only this tells a line that is
# held low from a chip at 0 °C: the CRC of nine zeros is right.
_FIXED_MASK = const(0x9F)
_FIXED = const(0x1F)
_POWER_ON = const(0x0550)
# In 1/16 °C: what the chip can measure, -55 to 125 °C
_LOWEST = const(-880)
_HIGHEST = const(2000)


class DS18B20:
    """One DS18B20, `address` None: the only chip on its wire. Raises SensorError, and nothing
    else, for what the chip or the wire does."""

    # At 12 bits, as delivered; one more for the tick in which the caller's counter stood
    CONVERSION_MS = 751

    def __init__(self, wire, address=None):
        self._wire = wire
        self._name = "DS18B20 " + (address or "")
        self._rom = None
        if address:
            number = bytes.fromhex(address[:2]) + bytes(reversed(bytes.fromhex(address[3:])))
            self._rom = number + bytes([wire.crc8(number)])
        self._scratchpad = bytearray(9)

    def start(self):
        """Begin one measurement."""
        self._command(_CONVERT)

    def finish(self, reading):
        """Fetch, check and convert what `start()` began; fill `reading` or raise."""
        self._command(_READ_SCRATCHPAD)
        data = self._scratchpad
        self._wire.readinto(data)
        if min(data) == 0xFF:
            self._raise(SensorAbsent, "does not answer")
        if self._wire.crc8(data):
            self._raise(SensorChecksumError, "wrong CRC; several on the wire need addresses")
        if data[4] & _FIXED_MASK != _FIXED:
            self._raise(SensorBusError, "the wire is held low")
        raw = data[1] << 8 | data[0]
        if raw == _POWER_ON:
            self._raise(SensorRangeError, "85 C means: not measured; is its VDD connected?")
        if raw & 0x8000:
            raw -= 0x10000
        if not _LOWEST <= raw <= _HIGHEST:
            self._raise(SensorRangeError, "%d/16 C is out of range" % raw)
        # Bits below its resolution are undefined
        spare = 3 - (data[4] >> 5)
        reading.fill(((raw >> spare << spare) * 25 + 2) >> 2, NOT_MEASURED, NOT_MEASURED)

    def _command(self, command):
        wire = self._wire
        if not wire.reset():
            self._raise(SensorAbsent, "nothing is on the wire")
        if self._rom:
            wire.writebyte(_MATCH_ROM)
            wire.write(self._rom)
        else:
            wire.writebyte(_SKIP_ROM)
        wire.writebyte(command)

    def _raise(self, kind, what):
        raise kind(self._name + ": " + what)
