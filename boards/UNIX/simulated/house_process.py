"""The house as a process: it outlives the firmware's resets, as a house does.

    MICROPYPATH=boards/UNIX micropython -X heapsize=1m -m simulated.house_process FOLDER

FOLDER holds the two named pipes of `simulated.cable`. Whenever the firmware's process ends, in
whatever way, the pins go low; then the house waits for the next one. It ends by SIGINT, and saves
its state before.
"""

import errno
import sys

from micropython import const

from simulated.site import Site

# As in `simulated.cable`, which must not keep them in the firmware's heap as names
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
_NO_BYTES = b""


def answer(site, request, requests):
    """The answer's bytes after doing `request`; further data is read from `requests`."""
    operation, a, b, c, n = request
    try:
        data = _perform(site, operation, a, b, c, n, requests)
    except OSError as error:
        return bytes((error.args[0], 0))
    except (IndexError, ValueError):
        return bytes((errno.EINVAL, 0))  # no such bus, no such pin
    return bytes((0, len(data))) + bytes(data)


def _perform(site, operation, a, b, c, n, requests):
    if operation == _SET_PIN:
        site.pin(a).value(b)
    elif operation == _SET_LED:
        site.led(a)
    elif operation == _RECOVER:
        site.bus(a).recover()
    elif operation == _SCAN:
        return bytes(site.bus(a).scan())
    elif operation == _RESET_LINE:
        requests.read(n)
        return bytes((site.line(a).reset(),))
    elif operation == _SLOTS:
        return site.line(a).slots(requests.read(n), b)
    elif operation == _CHIP_TEMPERATURE:
        value = round(site.chip_temperature() * 100)
        return bytes((value & 0xFF, value >> 8 & 0xFF))
    elif operation == _WRITE:
        site.bus(a).writeto(b, requests.read(n))
    elif operation == _WRITE_MEMORY:
        site.bus(a).writeto_mem(b, c, requests.read(n))
    else:
        return _read(site.bus(a), operation, b, c, n)
    return _NO_BYTES


def _read(bus, operation, address, register, size):
    buffer = bytearray(size)
    if operation == _READ:
        bus.readfrom_into(address, buffer)
    elif operation == _READ_MEMORY:
        bus.readfrom_mem_into(address, register, buffer)
    else:
        raise OSError(errno.EINVAL)
    return buffer


def serve(site, requests, answers):
    """Answer until the other side ends."""
    while True:
        request = requests.read(_REQUEST_BYTES)
        if not request or len(request) < _REQUEST_BYTES:
            return
        answers.write(answer(site, request, requests))


def live(site, folder):
    """Serve one process of the firmware, from its first question to its end."""
    with open(folder + _REQUEST_PIPE, "rb", 0) as requests:
        with open(folder + _ANSWER_PIPE, "wb", 0) as answers:
            try:
                serve(site, requests, answers)
            except OSError:
                pass  # the firmware ended between question and answer
    site.power_off()


def main(folder):
    site = Site(folder)
    try:
        while True:
            live(site, folder)
    except KeyboardInterrupt:
        site.power_off()  # again, if it was that which was interrupted


if __name__ == "__main__":
    main(sys.argv[1])
