"""The cable between firmware and house, when each is a process: the firmware's end of it.

Two named pipes carry one request and its answer at a time, whole numbers of one byte each:

    request   operation, a, b, c, n; then n bytes of data, if the operation sends some
    answer    0 or an errno, n; then n bytes

The operations are below; the house's end has the same list. So that switching a relay allocates
nothing, frames are made once.
"""

from micropython import const

_SCAN = const(1)  # bus a -> addresses
_WRITE = const(2)  # bus a, address b, n bytes
_READ = const(3)  # bus a, address b, n wanted
_WRITE_MEMORY = const(4)  # bus a, address b, register c, n bytes
_READ_MEMORY = const(5)  # bus a, address b, register c, n wanted
_RECOVER = const(6)  # bus a
_SET_PIN = const(7)  # pin a, level b
_SET_LED = const(8)  # level a
_RESET_LINE = const(9)  # one-wire bus a, a byte -> whether a chip is there
_SLOTS = const(10)  # one-wire bus a, b bits of each byte, n bytes -> n bytes
_CHIP_TEMPERATURE = const(11)  # -> 0.01 °C in two bytes, the low one first

_REQUEST_PIPE = const("/house.request")
_ANSWER_PIPE = const("/house.answer")
_REQUEST_BYTES = const(5)
_ANSWER_BYTES = const(2)
_BUSES = const(2)
_PINS = const(2)


def connect(folder):
    """The Remote at the end of the pipes in `folder`."""
    # The house opens them in the same order: each open waits for the other side's
    requests = open(folder + _REQUEST_PIPE, "wb", 0)
    return Remote(requests, open(folder + _ANSWER_PIPE, "rb", 0))


class Remote:
    """What `simulated.site.Site` is, at the other end of two streams. Raises OSError."""

    def __init__(self, requests, answers):
        self._requests = requests
        self._answers = answers
        self._request = bytearray(_REQUEST_BYTES)
        self._answer = bytearray(_ANSWER_BYTES)
        self._buses = [RemoteBus(self, number) for number in range(_BUSES)]
        self._pins = [RemotePin(self, index) for index in range(_PINS)]

    def call(self, operation, a, b, c, n, data):
        """Ask, and return how many bytes of answer follow. Raises OSError with the errno that
        the house answered."""
        request = self._request
        # One by one: five at once would be a tuple, and take heap
        request[0] = operation
        request[1] = a
        request[2] = b
        request[3] = c
        request[4] = n
        self._requests.write(request)
        if data is not None:
            self._requests.write(data)
        self._answers.readinto(self._answer)
        if self._answer[0]:
            raise OSError(self._answer[0])
        return self._answer[1]

    def take(self, buffer):
        """Read the bytes that follow an answer."""
        self._answers.readinto(buffer)

    def bus(self, number):
        if not 0 <= number < _BUSES:
            raise ValueError("I2C bus %r: this board has 0 and 1" % number)
        return self._buses[number]

    def line(self, number):
        if number != 0:
            raise ValueError("one-wire bus %r: this board has 0" % number)
        return RemoteLine(self, number)

    def chip_temperature(self):
        found = bytearray(self.call(_CHIP_TEMPERATURE, 0, 0, 0, 0, None))
        self.take(found)
        value = found[1] << 8 | found[0]
        return (value - 0x10000 if value & 0x8000 else value) / 100

    def pin(self, index):
        return self._pins[index]

    def led(self, on):
        self.call(_SET_LED, 1 if on else 0, 0, 0, 0, None)

    def power_off(self):
        """The house sees the cable's end and lets the pins go low by itself."""
        for pin in self._pins:
            pin.value(0)


class RemoteBus:
    """The methods of machine.I2C."""

    def __init__(self, remote, number):
        self._remote = remote
        self._number = number

    def recover(self):
        self._remote.call(_RECOVER, self._number, 0, 0, 0, None)

    def scan(self):
        found = bytearray(self._remote.call(_SCAN, self._number, 0, 0, 0, None))
        self._remote.take(found)
        return list(found)

    def writeto(self, address, buffer, stop=True):
        self._remote.call(_WRITE, self._number, address, 0, len(buffer), buffer)
        return len(buffer)

    def readfrom_into(self, address, buffer, stop=True):
        self._remote.call(_READ, self._number, address, 0, len(buffer), None)
        self._remote.take(buffer)

    def writeto_mem(self, address, register, buffer):
        self._remote.call(_WRITE_MEMORY, self._number, address, register, len(buffer), buffer)

    def readfrom_mem_into(self, address, register, buffer):
        self._remote.call(_READ_MEMORY, self._number, address, register, len(buffer), None)
        self._remote.take(buffer)


class RemoteLine:
    """A one-wire line; see `simulated.onewire`. Without a house nobody is on it."""

    def __init__(self, remote, number):
        self._remote = remote
        self._number = number

    def reset(self):
        return bool(self._exchange(_RESET_LINE, 0, b"\x00")[0])

    def slots(self, data, bits):
        return self._exchange(_SLOTS, bits, data)

    def _exchange(self, operation, bits, data):
        answer = bytearray(len(data))
        try:
            self._remote.call(operation, self._number, bits, 0, len(data), data)
            self._remote.take(answer)
        except OSError:
            pass
        return answer


class RemotePin:
    """`value(level)` like machine.Pin, low at first."""

    def __init__(self, remote, index):
        self._remote = remote
        self._index = index
        self._level = 0

    def value(self, level=None):
        if level is None:
            return self._level
        self._level = 1 if level else 0
        try:
            self._remote.call(_SET_PIN, self._index, self._level, 0, 0, None)
        except OSError:
            pass  # no house, no heat
        return None
