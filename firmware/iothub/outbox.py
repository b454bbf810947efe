"""Whatever was promised to the hub, until the hub has acknowledged it.

Messages wait as whole encoded packets in two rings. Telemetry: when full, the oldest goes and
is counted. Command answers: never displaced; when full, the newest is turned away.
From there they move into the window: a few slots for packets that are on their way. A slot is
left only by an acknowledgement, so a packet that may have arrived is never also counted as
dropped, and one half written is never overwritten. At any time, for telemetry, exactly:

    accepted == acked + dropped + waiting()

Everything is allocated once. An empty ring is passed by: a message then costs no heap.
"""

from array import array

from iothub.packets import publish_size, set_duplicate, set_packet_id, write_publish
from iothub.ring import Ring
from micropython import const

_LAST_PACKET_ID = const(65535)


class Outbox:
    """`window` slots of `packet_bytes`; rings of `telemetry_bytes` and `answer_bytes`."""

    def __init__(self, window, packet_bytes, telemetry_bytes, answer_bytes):
        assert 0 < window < 256
        self.slots = bytearray(window * packet_bytes)
        self.accepted = 0  # telemetry messages
        self.acked = 0
        self.dropped = 0
        self.answers_acked = 0
        self._packet_bytes = packet_bytes
        self._telemetry = Ring(telemetry_bytes)
        self._answers = Ring(answer_bytes)
        # Slot numbers: those in use first, in the order of sending, then the free ones
        self._order = bytearray(range(window))
        self._used = 0
        self._sent = 0  # of those in use, how many were sent on this link
        self._sizes = array("H", bytearray(2 * window))
        self._ids = array("H", bytearray(2 * window))  # 0 = never sent
        self._is_answer = bytearray(window)
        self._telemetry_in_slots = 0
        self._last_id = 0

    # ---- in

    def put_telemetry(self, topic, payload, size, suffix=b"", at_once=False):
        """Take a message; False if it can never be sent.

        `suffix`: see `topics.created`. `at_once`: it can leave now, if nothing is before it.
        """
        packet_size = publish_size(len(topic) + len(suffix), size)
        if not self._fits(packet_size, self._telemetry):
            return False
        self.accepted += 1
        if at_once and self._telemetry.count == 0 and self._used < len(self._order):
            buffer, at = self.slots, self._take_slot(packet_size, False)
        else:
            buffer, at = self._telemetry.buffer, self._reserve_telemetry(packet_size)
        write_publish(buffer, at, topic, suffix, payload, size)
        return True

    def put_answer(self, topic, payload):
        """Take a command answer; False if there is no room, or will never be."""
        packet_size = publish_size(len(topic), len(payload))
        if not self._fits(packet_size, self._answers):
            return False
        at = self._answers.reserve(packet_size)
        if at < 0:
            return False
        write_publish(self._answers.buffer, at, topic, b"", payload, len(payload))
        return True

    def can_carry(self, topic, payload):
        """True if an answer of this size has room when the ring is empty."""
        return self._fits(publish_size(len(topic), len(payload)), self._answers)

    def _fits(self, size, ring):
        return size <= self._packet_bytes and ring.can_ever_hold(size)

    def _reserve_telemetry(self, size):
        at = self._telemetry.reserve(size)
        while at < 0:
            self._telemetry.drop_first()
            self.dropped += 1
            at = self._telemetry.reserve(size)
        return at

    # ---- out

    def next(self):
        """The slot to send next, its packet id and DUP bit set, or -1: nothing, or no room.

        The caller sends `slots` from `offset(slot)`, `size(slot)` bytes, then `mark_sent()`.
        """
        if self._sent == self._used:
            if self._answers.count:
                self._move_from(self._answers, True)
            elif self._telemetry.count:
                self._move_from(self._telemetry, False)
        if self._sent == self._used:
            return -1
        slot = self._order[self._sent]
        self._stamp(slot)
        return slot

    def mark_sent(self):
        """What `next` answered is on its way."""
        assert self._sent < self._used
        self._sent += 1

    def offset(self, slot):
        return slot * self._packet_bytes

    def size(self, slot):
        return self._sizes[slot]

    def next_id(self):
        """A packet id from 1 to 65535 that is not in flight. Source: MQTT 3.1.1 §2.3.1"""
        while True:
            self._last_id = self._last_id % _LAST_PACKET_ID + 1
            if self._find(self._last_id) < 0:
                return self._last_id

    def _stamp(self, slot):
        at = self.offset(slot)
        if self._ids[slot]:
            set_duplicate(self.slots, at)
        else:
            packet_id = self.next_id()
            self._ids[slot] = packet_id
            set_packet_id(self.slots, at, packet_id)

    def _move_from(self, ring, is_answer):
        if self._used == len(self._order):
            return
        size = ring.first_size()
        at = self._take_slot(size, is_answer)
        start = ring.first()
        self.slots[at : at + size] = memoryview(ring.buffer)[start : start + size]
        ring.drop_first()

    def _take_slot(self, size, is_answer):
        slot = self._order[self._used]
        self._used += 1
        self._sizes[slot] = size
        self._ids[slot] = 0
        self._is_answer[slot] = is_answer
        self._telemetry_in_slots += not is_answer
        return self.offset(slot)

    # ---- back

    def acknowledge(self, packet_id):
        """The hub has the packet; False if none with this id was sent on this link."""
        place = self._find(packet_id)
        if place < 0 or place >= self._sent:
            return False
        slot = self._order[place]
        if self._is_answer[slot]:
            self.answers_acked += 1
        else:
            self.acked += 1
            self._telemetry_in_slots -= 1
        self._used -= 1
        self._sent -= 1
        for i in range(place, self._used):
            self._order[i] = self._order[i + 1]
        self._order[self._used] = slot
        return True

    def link_lost(self):
        """What was sent and not acknowledged is sent again, first, as duplicates."""
        self._sent = 0

    def in_flight(self):
        """Packets sent on this link that the hub has not acknowledged."""
        return self._sent

    def waiting(self):
        """Telemetry messages accepted, neither acknowledged nor dropped."""
        return self._telemetry.count + self._telemetry_in_slots

    def is_empty(self):
        return self._used == 0 and self._telemetry.count == 0 and self._answers.count == 0

    def _find(self, packet_id):
        """The place in `_order` of the packet with this id, or -1."""
        for place in range(self._used):
            if self._ids[self._order[place]] == packet_id:
                return place
        return -1


class Counters:
    """What a session has done since it was made: plain ints that only rise."""

    def __init__(self, outbox):
        self._outbox = outbox
        self.refused = 0  # telemetry not taken: it could never be sent
        self.connects = 0  # times online, the renewals of the token included
        self.renewals = 0
        self.failures = 0  # links lost or not come by
        self.commands = 0
        self.repeats = 0  # commands whose request id was known: answered again, not done again
        self.unanswered = 0  # answers for which there was no room
        self.messages = 0  # cloud-to-device, handled and acknowledged
        self.declined = 0  # cloud-to-device that the handler raised on
        self.patches = 0  # desired patches handed to the handler
        self.reports = 0  # reported patches taken by the hub
        self.malformed = 0  # packets dropped for their topic or body
        self.oversize = 0  # packets drained for their length

    @property
    def sent(self):
        """Telemetry messages taken from the application."""
        return self._outbox.accepted

    @property
    def acked(self):
        """Of these, acknowledged by the hub."""
        return self._outbox.acked

    @property
    def dropped(self):
        """Of these, displaced by newer ones while the outbox was full."""
        return self._outbox.dropped

    @property
    def waiting(self):
        """Of these, neither acknowledged nor dropped: sent == acked + dropped + waiting."""
        return self._outbox.waiting()

    @property
    def reconnects(self):
        return max(0, self.connects - 1)
