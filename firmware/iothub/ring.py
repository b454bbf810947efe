"""A first-in first-out store of packets in one preallocated buffer.

A packet is contiguous, behind two bytes of length. Policy when full: `reserve` refuses; the
caller decides whether the oldest goes (`drop_first`) or the newest is turned away.
"""

from micropython import const

_LENGTH_BYTES = const(2)
# In place of a length: nothing more fitted here, the next packet is at the start
_WRAP = const(0xFFFF)


class Ring:
    """Holds packets of up to 65,534 bytes in `size`."""

    def __init__(self, size):
        self.buffer = bytearray(size)
        self.count = 0
        self._first = 0
        self._end = 0

    def can_ever_hold(self, size):
        return 0 < size < _WRAP and size + _LENGTH_BYTES <= len(self.buffer)

    def reserve(self, size):
        """Make the last packet, of `size` bytes to be filled in; its offset, or -1: no room."""
        at = self._place(size + _LENGTH_BYTES)
        if at < 0:
            return -1
        if at == 0 and self._end > 0 and len(self.buffer) - self._end >= _LENGTH_BYTES:
            self._write_length(self._end, _WRAP)
        self._write_length(at, size)
        self._end = at + _LENGTH_BYTES + size
        self.count += 1
        return at + _LENGTH_BYTES

    def first(self):
        """Offset of the oldest packet."""
        assert self.count
        return self._first + _LENGTH_BYTES

    def first_size(self):
        assert self.count
        return self._length(self._first)

    def drop_first(self):
        assert self.count
        self._first += _LENGTH_BYTES + self._length(self._first)
        self.count -= 1
        if self.count == 0:
            self._first = self._end = 0
        elif self._is_wrapped_at(self._first):
            self._first = 0

    def _place(self, size):
        """Where `size` contiguous bytes are free, or -1."""
        if self.count == 0:
            self._first = self._end = 0
        if self.count and self._end <= self._first:
            return self._end if self._first - self._end >= size else -1
        if len(self.buffer) - self._end >= size:
            return self._end
        return 0 if self._first >= size else -1

    def _is_wrapped_at(self, at):
        return len(self.buffer) - at < _LENGTH_BYTES or self._length(at) == _WRAP

    def _length(self, at):
        return self.buffer[at] << 8 | self.buffer[at + 1]

    def _write_length(self, at, length):
        self.buffer[at] = length >> 8
        self.buffer[at + 1] = length & 0xFF
