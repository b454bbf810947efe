"""Telemetry of one component: JSON written digit by digit into a buffer made once.

    climate = Telemetry(session, device.component("thermostat1"), ("temperature",), (2,))
    climate.values[0] = 2150
    climate.send()                      # {"temperature":21.5}

Values are value integers, so that nothing is allocated on the way: no float, no text. On a
32-bit board that holds for values below 2**30.

Source: Microsoft, "IoT Plug and Play conventions", "Telemetry": one component a message.
"""

from micropython import const

_ZERO = const(48)
_POINT = const(46)
_MINUS = const(45)
_COMMA = const(44)
_OPEN = const(123)
_CLOSE = const(125)
# Digits, sign and point of a 64-bit integer
_LONGEST_NUMBER = const(21)


class Telemetry:
    """`values[i]` is what `names[i]` will be sent as, times 10 ** `decimals[i]`; None: left out.

    `component` is the pnp Component that the names belong to.
    """

    def __init__(self, session, component, names, decimals):
        self.values = [None] * len(names)
        self._session = session
        self._topic = session.telemetry_topic(component.name)
        self._decimals = decimals
        self._keys = []
        room = 2
        for name in names:
            assert name in component.interface.telemetry, "no telemetry %s in the model" % name
            self._keys.append(('"%s":' % name).encode())
            room += len(name) + 4 + _LONGEST_NUMBER
        self._buffer = bytearray(room)

    def send(self):
        """Give the values to the session; False if there are none, or it does not take them."""
        size = self._write()
        if size == 0:
            return False
        return self._session.send(self._topic, self._buffer, size)

    def _write(self):
        """Write the JSON object; return its size, 0 if every value is None."""
        buffer = self._buffer
        at = 0
        for i in range(len(self.values)):
            value = self.values[i]
            if value is None:
                continue
            buffer[at] = _COMMA if at else _OPEN
            at = _write_bytes(self._keys[i], buffer, at + 1)
            at = write_number(value, self._decimals[i], buffer, at)
        if at == 0:
            return 0
        buffer[at] = _CLOSE
        return at + 1


def _write_bytes(source, buffer, at):
    for byte in source:
        buffer[at] = byte
        at += 1
    return at


def write_number(value, decimals, buffer, at):
    """Write `value` / 10 ** `decimals` as JSON at `at`, without needless zeros; return the end.

    -5 with two decimals is -0.05, 2150 is 21.5, 2100 is 21.
    """
    if value < 0:
        buffer[at] = _MINUS
        at += 1
        value = -value
    while decimals and value % 10 == 0:
        value //= 10
        decimals -= 1
    end = at + _size(value, decimals)
    at = end
    while decimals:
        at = _write_digit(value, buffer, at)
        value //= 10
        decimals -= 1
        if decimals == 0:
            at -= 1
            buffer[at] = _POINT
    at = _write_digit(value, buffer, at)
    while value >= 10:
        value //= 10
        at = _write_digit(value, buffer, at)
    return end


def _write_digit(value, buffer, at):
    at -= 1
    buffer[at] = _ZERO + value % 10
    return at


def _size(value, decimals):
    """Characters of a number that is not negative: its digits, and a point before `decimals`."""
    digits = 1
    while value >= 10:
        value //= 10
        digits += 1
    if decimals == 0:
        return digits
    return (digits if digits > decimals else decimals + 1) + 1
