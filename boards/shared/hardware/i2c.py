"""An I2C bus on any two pins that tells what goes wrong on it.

MicroPython's SoftI2C, because it is the same on every port and on every pin; but it takes a line
that is stuck low for an acknowledge and for zeros, and ignores data that is not acknowledged.
Here both are errors.
"""

import errno
import time

from machine import Pin, SoftI2C
from micropython import const

# Standard mode: the slowest that every sensor speaks, and the most forgiving of long wires
_FREQUENCY_HZ = const(100000)
# A chip that stretches the clock for longer hangs
_TIMEOUT_US = const(5000)
_HALF_CLOCK_US = const(5)
# A chip cut off within a byte waits for at most the rest of it and the acknowledge.
# Source: NXP UM10204, "I2C-bus specification", 3.1.16 Bus clear
_CLOCKS = const(9)


class Bus:
    """The methods of `machine.I2C` that drivers use. They raise OSError: ENODEV or EIO when the
    chip does not acknowledge, ETIMEDOUT when a line is stuck."""

    def __init__(self, scl, sda):
        self._scl = Pin(scl, Pin.OPEN_DRAIN, value=1)
        self._sda = Pin(sda, Pin.OPEN_DRAIN, value=1)
        self.recover()
        self._wires = SoftI2C(self._scl, self._sda, freq=_FREQUENCY_HZ, timeout=_TIMEOUT_US)
        self._register = bytearray(1)

    def recover(self):
        """Clock a chip that was cut off within a byte until it lets SDA go, then say STOP."""
        scl, sda = self._scl, self._sda
        sda.value(1)
        for _ in range(_CLOCKS):
            if sda.value():
                break
            self._drive(scl, 0)
            self._drive(scl, 1)
        self._drive(scl, 0)
        self._drive(sda, 0)
        self._drive(scl, 1)
        self._drive(sda, 1)

    def scan(self):
        """Addresses that answer; none while a line is stuck."""
        return self._wires.scan() if self._is_idle() else []

    def writeto(self, address, data):
        self._refuse_stuck()
        self._all_acknowledged(self._wires.writeto(address, data), len(data))
        return len(data)

    def writeto_mem(self, address, register, data):
        self._refuse_stuck()
        self._register[0] = register
        taken = self._wires.writevto(address, (self._register, data))
        self._all_acknowledged(taken, 1 + len(data))

    def readfrom(self, address, size):
        self._refuse_stuck()
        return self._wires.readfrom(address, size)

    def readfrom_into(self, address, buffer):
        self._refuse_stuck()
        self._wires.readfrom_into(address, buffer)

    def readfrom_mem(self, address, register, size):
        self._refuse_stuck()
        return self._wires.readfrom_mem(address, register, size)

    def readfrom_mem_into(self, address, register, buffer):
        self._refuse_stuck()
        self._wires.readfrom_mem_into(address, register, buffer)

    def _drive(self, pin, level):
        pin.value(level)
        time.sleep_us(_HALF_CLOCK_US)

    def _is_idle(self):
        return self._scl.value() and self._sda.value()

    def _refuse_stuck(self):
        if not self._is_idle():
            raise OSError(errno.ETIMEDOUT)

    def _all_acknowledged(self, taken, size):
        if taken < size:
            raise OSError(errno.EIO)
