"""A link without a network: bytes go to a peer at once, faults come when a test says so."""

import asyncio


class FakeLink:
    """What `iothub.session` wants of a link, and the same promise: OSError, nothing else.

    `peer.on_bytes(link, data)` gets what is written; the peer answers with `feed()`.
    """

    def __init__(self, peer):
        self.peer = peer
        self.incoming = bytearray()
        self._read = 0
        self.writes = []  # size of each write that was taken
        self.written = bytearray()
        self.is_forgetful = False  # keeps no record of what is written: for long runs
        self.traffic = 0  # bytes, both ways together
        self.is_closed = False
        self.has_ended = False  # the peer has closed: an end behind what it sent
        self.calls_until_ready = 0
        self.chunk = 0  # most bytes in one read or write, 0 = all
        self.refuse = ""  # text of the OSError that ready() raises
        self.is_stuck = False  # takes nothing
        self.is_deaf = False  # takes all, but the peer hears nothing
        self.cut_after = -1  # bytes, both ways together, after which the connection is dead

    def ready(self):
        self._check()
        if self.refuse:
            raise OSError(self.refuse)
        self.calls_until_ready -= 1
        return self.calls_until_ready < 0

    def write(self, buffer, offset, size):
        self._check()
        if self.is_stuck:
            return 0
        size = self._portion(size)
        data = bytes(buffer[offset : offset + size])
        self.traffic += size
        if not self.is_forgetful:
            self.writes.append(size)
            self.written.extend(data)
        if not self.is_deaf:
            self.peer.on_bytes(self, data)
        return size

    def read_into(self, buffer, offset, size):
        self._check()
        at = self._read
        size = min(self._portion(size), len(self.incoming) - at)
        if not size and self.has_ended:
            raise OSError("closed by the peer")
        for i in range(size):
            buffer[offset + i] = self.incoming[at + i]
        self._read += size
        if self._read == len(self.incoming):
            self.incoming = bytearray()
            self._read = 0
        self.traffic += size
        return size

    def close(self):
        self.is_closed = True

    async def readable(self):
        while not (self.incoming or self.has_ended or self.is_closed):
            await asyncio.sleep(0)

    def feed(self, data):
        """The peer sends `data`."""
        if not self.is_closed:
            self.incoming.extend(data)

    def end(self):
        """The peer closes."""
        self.has_ended = True

    def _portion(self, size):
        if self.chunk:
            size = min(size, self.chunk)
        if self.cut_after >= 0:
            size = min(size, self.cut_after - self.traffic)
        return size

    def _check(self):
        if self.is_closed:
            raise OSError("the link is closed")
        if 0 <= self.cut_after <= self.traffic:
            raise OSError(104, "ECONNRESET")


class FakeDialer:
    """Gives links to `peer`; `prepare(link)` may put faults into each, `refuse` into dialing."""

    def __init__(self, peer, prepare=None):
        self.peer = peer
        self.prepare = prepare
        self.links = []
        self.dialed = []
        self.refuse = ""
        self.is_forgetful = False

    def dial(self, host, port):
        self.dialed.append((host, port))
        if self.refuse:
            raise OSError(self.refuse)
        link = FakeLink(self.peer)
        link.is_forgetful = self.is_forgetful
        if self.is_forgetful:
            self.links.clear()
            self.dialed.clear()
        self.links.append(link)
        if self.prepare is not None:
            self.prepare(link)
        return link
