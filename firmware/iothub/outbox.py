"""Whatever was promised to the hub, until the hub has acknowledged it.

Messages wait as whole encoded QoS 1 packets in two queues: command answers and telemetry.
An answer is never displaced; when there is no room, the newest is turned away. Telemetry goes
oldest first when there is no room, and is counted. A packet leaves its queue only by an
acknowledgement once it was sent, so one that may have arrived is never also counted as dropped,
and one half written never moves. At any time exactly:

    accepted == telemetry.acked + dropped + spilled + packets in `telemetry`

Everything is allocated once; a message costs no heap. What would be displaced goes to a place
outside of RAM first, if there is one, and comes back when the rest has left: younger ones
overtake it, but it says when it was made.
Source: OASIS MQTT 3.1.1, §2.2.3 (lengths), §2.3.1 (packet ids), §3.3 (PUBLISH), §4.4 (DUP).
"""

from micropython import const

_LAST_PACKET_ID = const(65535)
_PUBLISH_QOS1 = const(0x32)
_DUP = const(0x08)
# What a packet has besides topic and payload: type, length (two bytes at most), their length, id
_FRAME_BYTES = const(7)
_LONGEST_PACKET = const(16384)
# What goes out of RAM at once: with its own overhead one erase block of 4096
_PIECE_BYTES = const(3500)
# Made once: built where it is needed, it would take heap when there is none
_LOSSES = (OSError, MemoryError)


class Queue:
    """Packets in one buffer of `size` bytes, each behind the one before.

    First those that were sent on this link, up to `sent`; then those that were sent on another;
    then those that never were: their packet id is 0.
    """

    def __init__(self, size):
        self.buffer = bytearray(size)
        self.end = 0
        self.sent = 0
        self.acked = 0

    def put(self, topic, suffix, payload, size):
        """Append a PUBLISH of `payload[:size]` to `topic + suffix`; False if there is no room."""
        buffer, at = self.buffer, self.end
        rest = len(topic) + len(suffix) + size + 4
        if at + rest + 3 > len(buffer):
            return False
        buffer[at] = _PUBLISH_QOS1
        if rest > 127:
            buffer[at + 1] = rest & 127 | 128
            rest >>= 7
            at += 1
        buffer[at + 1] = rest
        rest = len(topic) + len(suffix)
        buffer[at + 2] = rest >> 8
        buffer[at + 3] = rest & 255
        at = _copy(topic, len(topic), buffer, at + 4)
        at = _copy(suffix, len(suffix), buffer, at)
        buffer[at] = buffer[at + 1] = 0
        self.end = _copy(payload, size, buffer, at + 2)
        return True

    def size(self, at):
        """Of the packet at `at`."""
        rest = self.buffer[at + 1]
        return rest + 2 if rest < 128 else (rest & 127 | self.buffer[at + 2] << 7) + 3

    def id_at(self, at):
        """Where the packet at `at` has its id."""
        at += 2 if self.buffer[at + 1] < 128 else 3
        return at + 2 + (self.buffer[at] << 8 | self.buffer[at + 1])

    def find(self, packet_id):
        """Where the packet of that id is, for 0 the first that was never sent; -1 if nowhere."""
        at = 0
        while at < self.end:
            id_at = self.id_at(at)
            found = self.buffer[id_at] << 8 | self.buffer[id_at + 1]
            if found == packet_id:
                return at
            if not found:
                break
            at += self.size(at)
        return -1

    def remove(self, at, size):
        """Close the gap of the packets in `size` bytes from `at`; return that."""
        self.end -= size
        if at < self.end:
            self.buffer[at : self.end] = memoryview(self.buffer)[at + size : self.end + size]
        return size


class Outbox:
    """`window` packets out at once, of `packet_bytes` at most; two queues of so many bytes."""

    def __init__(self, window, packet_bytes, telemetry_bytes, answer_bytes):
        self.accepted = 0  # telemetry messages taken
        self.dropped = 0  # of these, displaced by newer ones
        self.spilled = 0  # of these, outside of RAM
        self.open_spill = None  # gives a place outside of RAM, see `system.spill`
        self.spill = None  # that, while something is there
        self.in_flight = 0  # packets sent on this link that the hub has not acknowledged
        self.telemetry = Queue(telemetry_bytes)
        self.answers = Queue(answer_bytes)
        self._queues = (self.answers, self.telemetry)
        self._window = window
        self._largest = min(packet_bytes, telemetry_bytes, answer_bytes, _LONGEST_PACKET)
        self._last_id = 0

    def fits(self, size):
        """Whether topic and payload of together `size` bytes can ever be sent."""
        return size + _FRAME_BYTES <= self._largest

    def put_telemetry(self, topic, suffix, payload, size):
        """Take `payload[:size]`; False if it can never be sent."""
        if not self.fits(len(topic) + len(suffix) + size):
            return False
        self.accepted += 1
        while not self.telemetry.put(topic, suffix, payload, size):
            oldest = self.telemetry.find(0)
            if oldest >= 0 and self._move_out(oldest):
                continue
            self.dropped += 1
            if oldest < 0:
                break  # all the others may have arrived: it is the newest that goes
            self.telemetry.remove(oldest, self.telemetry.size(oldest))
        return True

    def recover(self):
        """Take over what an earlier run has left outside of RAM."""
        self.spill = self.open_spill()
        self.spilled = self.spill.waiting
        self.accepted += self.spilled

    def _move_out(self, at):
        """Move packets that were never sent, from `at`, out of RAM; False if they stay."""
        if self.open_spill is None:
            return False
        queue, end, count = self.telemetry, at, 0
        while end < queue.end and end - at < _PIECE_BYTES:
            end += queue.size(end)
            count += 1
        try:
            self.spill = self.spill or self.open_spill()
            lost = self.spill.put(memoryview(queue.buffer)[at:end], count)
        except _LOSSES:
            self.open_spill = None  # full or broken: not tried again in this run
            return False
        self.spilled += count - lost
        self.dropped += lost
        queue.remove(at, end - at)
        return True

    def _refill(self):
        """What was taken in last has been acknowledged: take in the next."""
        count, self.telemetry.end = self.spill.take(self.telemetry.buffer)
        self.spilled -= count
        if not self.telemetry.end:
            self.dropped += count
            if not count:
                self.spill = None

    def next_id(self):
        """A packet id from 1 to 65535 that is not in flight."""
        while True:
            self._last_id = self._last_id % _LAST_PACKET_ID + 1
            if self.telemetry.find(self._last_id) < 0 and self.answers.find(self._last_id) < 0:
                return self._last_id

    def send(self, client, answers_only=False):
        """Give `client` what it and the window have room for, answers first. Raises LinkError."""
        if self.spill is not None and not self.telemetry.end:
            self._refill()
        for queue in self._queues:
            while queue.sent < queue.end and self.in_flight < self._window and not client.left:
                buffer, at = queue.buffer, queue.sent
                id_at, size = queue.id_at(at), queue.size(at)
                if buffer[id_at] or buffer[id_at + 1]:
                    buffer[at] |= _DUP
                else:
                    packet_id = self.next_id()
                    buffer[id_at] = packet_id >> 8
                    buffer[id_at + 1] = packet_id & 255
                queue.sent += size
                self.in_flight += 1
                client.transmit(buffer, at, size)
            if answers_only:
                break

    def acknowledge(self, packet_id):
        """The hub has the packet; False if none with this id was sent on this link."""
        for queue in self._queues:
            at = queue.find(packet_id)
            if 0 <= at < queue.sent:
                queue.sent -= queue.remove(at, queue.size(at))
                queue.acked += 1
                self.in_flight -= 1
                return True
        return False

    def reset(self):
        """What was sent and not acknowledged is sent again, first, as duplicates."""
        self.in_flight = self.telemetry.sent = self.answers.sent = 0

    def is_clear(self):
        """The window has room for another packet, and none waits before it."""
        return self.in_flight < self._window and self.telemetry.sent == self.telemetry.end


def _copy(source, size, into, at):
    """Copy `source[:size]`; return where it ends. Byte by byte: a slice would cost heap."""
    for i in range(size):
        into[at + i] = source[i]
    return at + size
