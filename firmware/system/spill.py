"""Messages for which RAM has no room, on flash until the hub is back. In the heap only then.

They come and go in pieces of about one erase block, each a file of its own, written once: an
outage of hours costs a few writes, not one for each message. The file system moves them about.

    spill-N   CRC-32 of owner and messages, number of messages, the messages; N grows

A piece cut short by a power cut, or damaged, is not used. Nor is one of another owner: the hub
ends a link on which a device publishes as another one.
"""

import os
from binascii import crc32

from micropython import const

_PREFIX = const("spill-")
_HEAD_BYTES = const(6)


class Spill:
    """In `folder`, at most `most_bytes`. `files` has what a test puts in the place of `os`.
    `owner` (bytes): whose the messages are; those of others are taken away.

    `waiting`: messages, without those of the piece that `take` has given.
    """

    def __init__(self, folder, most_bytes, owner, files=None):
        self.waiting = 0
        self._path = folder + "/" + _PREFIX + "%d"
        self._most_bytes = most_bytes
        self._seed = crc32(owner)
        self._files = files or os
        self._open = files.open if files else open
        self._taken = None
        self._pieces = []  # (number, messages, bytes of them), the oldest first
        for name in self._files.listdir(folder):
            if name.startswith(_PREFIX):
                self._find(name[len(_PREFIX) :])
        self._pieces.sort()
        self._next = self._pieces[-1][0] + 1 if self._pieces else 1

    def _find(self, digits):
        try:
            number = int(digits)
            with self._open(self._path % number, "rb") as file:
                crc, messages = _head(file)
                packets = file.read()
        except (OSError, ValueError):
            return
        if packets and crc == crc32(packets, self._seed):
            self._pieces.append((number, messages, len(packets)))
            self.waiting += messages
        else:
            self._remove(number)

    def put(self, packets, messages):
        """Keep `packets`, a buffer of so many whole messages. Raises OSError: nothing was kept.

        Returns how many older messages had to go for them.
        """
        lost = 0
        while self._pieces and self._size() + len(packets) > self._most_bytes:
            number, old, _ = self._pieces.pop(0)
            self._remove(number)
            lost += old
        self.waiting -= lost
        number = self._next
        self._next += 1
        try:
            with self._open(self._path % number, "wb") as file:
                crc = crc32(packets, self._seed).to_bytes(4, "little")
                file.write(crc + messages.to_bytes(2, "little"))
                if file.write(packets) != len(packets):
                    raise OSError(28)
        except OSError:
            self._remove(number)
            if not lost:
                raise
            # For the old ones it is too late: the new ones are lost as well, and counted
            return lost + messages
        self._pieces.append((number, messages, len(packets)))
        self.waiting += messages
        return lost

    def take(self, buffer):
        """Read the oldest piece into `buffer`: (messages, bytes); (0, 0): there is none.

        It stays on flash until the next call, so that after a power cut it comes again rather
        than never. No bytes: it was damaged, and its messages are lost.
        """
        if self._taken is not None:
            self._remove(self._taken)
            self._taken = None
        if not self._pieces:
            return 0, 0
        self._taken, messages, size = self._pieces.pop(0)
        self.waiting -= messages
        try:
            with self._open(self._path % self._taken, "rb") as file:
                crc, _ = _head(file)
                if size <= len(buffer):
                    packets = memoryview(buffer)[:size]
                    if file.readinto(packets) == size and crc32(packets, self._seed) == crc:
                        return messages, size
        except OSError:
            pass
        return messages, 0

    def _size(self):
        return sum([piece[2] for piece in self._pieces])

    def _remove(self, number):
        try:
            self._files.remove(self._path % number)
        except OSError:
            pass


def _head(file):
    """(CRC-32, messages) of a piece."""
    head = file.read(_HEAD_BYTES)
    return int.from_bytes(head[:4], "little"), int.from_bytes(head[4:], "little")
