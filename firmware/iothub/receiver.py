"""Packets out of a stream that comes in any pieces, into one buffer that never grows.

Bounded in length and in time; what is legal but longer than the buffer is drained, and its
beginning kept. Source: OASIS MQTT 3.1.1, §2.2.
"""

from iothub.errors import LinkError, ProtocolError
from iothub.packets import CONNACK, PINGRESP, PUBACK, PUBLISH, QOS1_BITS, QOS_BITS, SUBACK
from micropython import const

# The hub sends bodies of at most 128 KB (commands) with topics far below 64 KB: what claims to
# be longer is no hub's packet
_LONGEST_PACKET = const(256 * 1024)
_MOST_FILTERS = const(8)
_DRAIN_BYTES = const(64)
# Pieces drained in one call: control and watchdog must get their turn
_MOST_PIECES = const(64)

_ANSWERS = (CONNACK, PUBACK, SUBACK, PINGRESP)


class Receiver:
    """After `receive()` is True: `kind` (first byte), `length`, and `body[:length]` if it fits."""

    def __init__(self, receive_bytes, clock, packet_timeout_ms):
        self.kind = 0
        self.length = -1
        self.body = bytearray(receive_bytes)
        self.has_more = False  # it stopped for the sake of others, not for lack of data
        self._clock = clock
        self._packet_timeout_ms = packet_timeout_ms
        self._head = bytearray(2)
        self._drain = bytearray(_DRAIN_BYTES)
        self._began = 0
        self.expect()

    def expect(self):
        """Begin with the next packet."""
        self.kind = 0  # 0 = not a byte of it is here
        self.length = -1  # -1 = not known yet
        self._partial = self._shift = self._received = 0

    def receive(self, link):
        """Take what the link has; True when a packet is whole. Raises LinkError, ProtocolError."""
        self.has_more = False
        if (self.length >= 0 or self._receive_head(link)) and self._receive_body(link):
            return True
        if self.kind:
            age_ms = self._clock.ticks_diff(self._clock.ticks_ms(), self._began)
            if age_ms > self._packet_timeout_ms:
                raise LinkError("a packet did not arrive whole in time")
        return False

    def _receive_head(self, link):
        """First byte and length: one read for nearly every packet. True when both are here."""
        if not self.kind:
            taken = self._read(link, self._head, 0, 2)
            if not taken:
                return False
            self._began = self._clock.ticks_ms()
            self._take_kind(self._head[0])
            if taken == 2:
                self._take_length_byte(self._head[1])
        while self.length < 0:
            if not self._read(link, self._head, 0, 1):
                return False
            self._take_length_byte(self._head[0])
        return True

    def _take_kind(self, kind):
        if kind & 0xF0 == PUBLISH:
            if kind & QOS_BITS > QOS1_BITS:
                raise ProtocolError("a PUBLISH at a QoS that was not granted")
        elif kind not in _ANSWERS:
            raise ProtocolError("packet type 0x%02x" % kind)
        self.kind = kind

    def _take_length_byte(self, byte):
        self._partial |= (byte & 0x7F) << self._shift
        self._shift += 7
        if not byte & 0x80:
            self._check_length(self.kind, self._partial)
            self.length = self._partial
        elif self._shift > 21:
            raise ProtocolError("a length of more than four bytes")

    def _check_length(self, kind, length):
        if kind & 0xF0 == PUBLISH:
            is_legal = 2 < length <= _LONGEST_PACKET
        elif kind == PINGRESP:
            is_legal = length == 0
        elif kind == SUBACK:
            is_legal = 2 < length <= 2 + _MOST_FILTERS
        else:
            is_legal = length == 2
        if not is_legal:
            raise ProtocolError("packet 0x%02x with a length of %d" % (kind, length))

    def _receive_body(self, link):
        """True when all of it is here, or all that fits, and the rest drained."""
        pieces = 0
        while self._received < self.length:
            room = min(self.length, len(self.body)) - self._received
            if room > 0:
                taken = self._read(link, self.body, self._received, room)
            else:
                left = min(self.length - self._received, _DRAIN_BYTES)
                taken = self._read(link, self._drain, 0, left)
                pieces += 1
            if not taken:
                return False
            self._received += taken
            if pieces == _MOST_PIECES:
                self.has_more = True
                return False
        return True

    def _read(self, link, buffer, offset, size):
        try:
            return link.read_into(buffer, offset, size)
        except OSError as error:
            raise LinkError(str(error))
