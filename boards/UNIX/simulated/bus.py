"""An I2C bus in memory, with the methods and the errors of machine.I2C.

A chip is an object with `write(data) -> bool` and `read_into(buffer) -> bool`; False stands for
a missing acknowledge. A memory transfer is what it is on the wire: the register's address
written, then a repeated start.

Errors, as machine.I2C raises them: nobody at the address OSError(ENODEV), a byte that the chip
does not acknowledge OSError(EIO), a stuck line OSError(ETIMEDOUT).

Faults, for tests: `nack(n)`, `corrupt(n, byte, mask)`, `stick()`, and `detach(address)`.
"""

import errno

_NEVER = -1


class Bus:
    def __init__(self):
        self._chips = {}
        self._transfers = 0
        self._nack_at = _NEVER
        self._corrupt_at = _NEVER
        self._corrupt_byte = 0
        self._corrupt_mask = 0
        self._stuck = False
        self._stuck_for_good = False

    # -- wiring

    def attach(self, address, chip):
        self._chips[address] = chip

    def detach(self, address):
        """Take a chip off the bus and return it."""
        return self._chips.pop(address)

    # -- faults

    def nack(self, transfer=0):
        """Transfer number `transfer` from now (0: the next) is not acknowledged."""
        self._nack_at = self._transfers + transfer

    def corrupt(self, transfer=0, byte=0, mask=0x01):
        """Flip the bits of `mask` in one byte that transfer number `transfer` from now reads."""
        self._corrupt_at = self._transfers + transfer
        self._corrupt_byte, self._corrupt_mask = byte, mask

    def stick(self, for_good=False):
        """Hold SDA low: every transfer times out, until `recover()` if not `for_good`."""
        self._stuck = True
        self._stuck_for_good = for_good

    def recover(self):
        """Nine clocks, which let a chip that was cut off in the middle of a byte finish it."""
        self._stuck = self._stuck and self._stuck_for_good

    # -- machine.I2C

    def scan(self):
        return [] if self._stuck else sorted(self._chips)

    def writeto(self, address, buffer, stop=True):
        _acknowledged(self._begin(address).write(buffer))
        return len(buffer)

    def readfrom_into(self, address, buffer, stop=True):
        self._read(self._begin(address), buffer)

    def readfrom(self, address, size, stop=True):
        buffer = bytearray(size)
        self.readfrom_into(address, buffer)
        return bytes(buffer)

    def writeto_mem(self, address, register, buffer):
        _acknowledged(self._begin(address).write(bytes([register]) + bytes(buffer)))

    def readfrom_mem_into(self, address, register, buffer):
        chip = self._begin(address)
        _acknowledged(chip.write(bytes([register])))
        self._read(chip, buffer)

    def readfrom_mem(self, address, register, size):
        buffer = bytearray(size)
        self.readfrom_mem_into(address, register, buffer)
        return bytes(buffer)

    # -- one transfer

    def _begin(self, address):
        number = self._transfers
        self._transfers += 1
        if self._stuck:
            raise OSError(errno.ETIMEDOUT)
        chip = self._chips.get(address)
        if chip is None or number == self._nack_at:
            raise OSError(errno.ENODEV)
        return chip

    def _read(self, chip, buffer):
        if not chip.read_into(buffer):
            raise OSError(errno.ENODEV)
        if self._transfers - 1 == self._corrupt_at:
            buffer[self._corrupt_byte] ^= self._corrupt_mask


def _acknowledged(answer):
    if not answer:
        raise OSError(errno.EIO)
