"""A block device in RAM whose power goes at any program or erase."""

BLOCK_BYTES = 512


class RamDevice:
    """Stops at write or erase `cut_at`, having programmed `torn` tenths of that write.

    Once `dead` it neither reads nor writes: files left open then close when they are collected.
    """

    def __init__(self, blocks=24, data=None):
        self.data = data or bytearray(b"\xff" * (BLOCK_BYTES * blocks))
        self.blocks = blocks
        self.count = 0
        self.cut_at = 0
        self.torn = 0
        self.dead = False

    def readblocks(self, number, buffer, offset=0):
        if self.dead:
            return -5
        start = number * BLOCK_BYTES + offset
        buffer[:] = self.data[start : start + len(buffer)]
        return 0

    def writeblocks(self, number, buffer, offset=0):
        if self.dead:
            return -5
        self.count += 1
        size = len(buffer)
        if self.cut_at and self.count >= self.cut_at:
            size = size * self.torn // 10 if self.count == self.cut_at else 0
        start = number * BLOCK_BYTES + offset
        self.data[start : start + size] = buffer[:size]
        return -5 if size < len(buffer) else 0

    def ioctl(self, operation, argument):
        if operation == 4:
            return self.blocks
        if operation == 5:
            return BLOCK_BYTES
        if operation == 6:
            self.count += 1
            if self.dead or (self.cut_at and self.count >= self.cut_at):
                return -5
            start = argument * BLOCK_BYTES
            self.data[start : start + BLOCK_BYTES] = b"\xff" * BLOCK_BYTES
        return 0
