"""An I2C bus with one register file behind it; no call allocates when it succeeds."""

import errno


class FakeBus:
    """`registers` answers memory reads, `answer` plain reads; writes are kept by reference.

    `fail(n, code)`: the n-th transfer from now (0: the next) raises OSError(code), and so do
    all after it until `heal()`.
    """

    def __init__(self, address, answer=b""):
        self.address = address
        self.answer = answer
        self.registers = bytearray(256)
        self.transfers = 0
        self.last_written = None
        self._fails_at = -1
        self._code = 0

    def fail(self, n=0, code=errno.ETIMEDOUT):
        self._fails_at = self.transfers + n
        self._code = code

    def heal(self):
        self._fails_at = -1

    def scan(self):
        return [self.address]

    def writeto(self, address, buffer):
        self._transfer(address)
        self.last_written = buffer
        return len(buffer)

    def readfrom_into(self, address, buffer):
        self._transfer(address)
        for index in range(len(buffer)):
            buffer[index] = self.answer[index]

    def writeto_mem(self, address, register, buffer):
        self._transfer(address)
        for index in range(len(buffer)):
            self.registers[register + index] = buffer[index]

    def readfrom_mem_into(self, address, register, buffer):
        self._transfer(address)
        for index in range(len(buffer)):
            buffer[index] = self.registers[register + index]

    def _transfer(self, address):
        number = self.transfers
        self.transfers = number + 1
        if 0 <= self._fails_at <= number:
            raise OSError(self._code)
        if address != self.address:
            raise OSError(errno.ENODEV)
