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
        self.session = session
        self.topic = session.telemetry_topic(component.name)
        self.decimals = decimals
        self.keys = []
        room = 2
        for name in names:
            assert name in component.interface.telemetry, "no telemetry %s in the model" % name
            self.keys.append(('"%s":' % name).encode())
            room += len(name) + 4 + _LONGEST_NUMBER
        self.buffer = bytearray(room)

    def send(self):
        """Give the values to the session; False if there are none, or it does not take them."""
        buffer = self.buffer
        at = 0
        for i in range(len(self.values)):
            value = self.values[i]
            if value is not None:
                buffer[at] = _COMMA if at else _OPEN
                for byte in self.keys[i]:
                    at += 1
                    buffer[at] = byte
                at = write_number(value, self.decimals[i], buffer, at + 1)
        if at == 0:
            return False
        buffer[at] = _CLOSE
        return self.session.send(self.topic, buffer, at + 1)


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
    # Digits, at least one before the point; and the point
    size = 1
    rest = value
    while rest >= 10 or size <= decimals:
        rest //= 10
        size += 1
    size += decimals > 0
    for i in range(size):
        if decimals and i == decimals:
            digit = _POINT
        else:
            digit = _ZERO + value % 10
            value //= 10
        buffer[at + size - 1 - i] = digit
    return at + size
