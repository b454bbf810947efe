"""MQTT 3.1.1 over a link that never blocks: `umqtt.simple`, with its defects taken out.

What remains of `umqtt.simple.MQTTClient` (1.3.4, and 1.6 to 1.8 alike), because over a `sock`
that only collects bytes it is sound; here that `sock` is the client itself:
    __init__, set_callback       they only keep what they are given
    publish at QoS 0, ping       they only write; `flush` sends it
    _send_str                    length and bytes; always given bytes here
What is replaced, and why:
    connect       opens a socket of its own, blocks, and answers a refusal with IndexError; the one
                  to use is of `iothub.greeting`
    disconnect    closes the socket, which here belongs to the session
    publish at QoS 1, subscribe, unsubscribe
                  wait inside for their answer; packet ids run past 65535; five writes a packet
    wait_msg, check_msg
                  block within a packet, deliver cut packets, allocate what the peer asks for
    set_last_will nobody wants one
Here a packet leaves in one write, bounded in time, and arrives in any pieces, bounded in length
and time, in one buffer that never grows. What is legal but longer is drained, its beginning kept.
Every failure is LinkError (close, dial again) or ProtocolError (not one of ours: close).
A caller sends only while `left` is 0.

Source: OASIS MQTT 3.1.1.
"""

from iothub.errors import LinkError, ProtocolError
from micropython import const
from umqtt.simple import MQTTClient

_CONNACK = const(0x20)
_SUBACK = const(0x90)
_PUBLISH = const(0x30)
# In the first byte of a PUBLISH: the bits of what it is, and QoS 2 or 3; QoS 1 alone
_KIND_AND_QOS2 = const(0xF4)
_QOS1 = const(0x02)

# The hub sends bodies of at most 128 KB (commands) with topics far below 64 KB: what claims to
# be longer is no hub's packet
_LONGEST_PACKET = const(256 * 1024)
# What may arrive, and the lengths that it may have: CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP
_LENGTHS = {
    0x20: (2, 2),
    0x30: (3, _LONGEST_PACKET),
    0x40: (2, 2),
    0x90: (3, 10),
    0xD0: (0, 0),
}
_DRAIN_BYTES = const(64)
# Pieces taken in one call: control and watchdog must get their turn
_MOST_PIECES = const(64)
# Ping at 3/4 of the keep-alive time: noticed dead before the hub's own limit of 3/2
_PING_PER_MILLE = const(750)


class Client(MQTTClient):
    """One device's MQTT client; `open()` gives it a link, `close()` takes it away.

    `settings`: see `iothub.session`. The callback gets (topic, body) as bytes, body None for
    a packet that was too long; it answers False to leave a QoS 1 packet unacknowledged.
    """

    def __init__(self, client_id, server, clock, settings):
        MQTTClient.__init__(self, client_id, server)
        self.sock = self
        self.has_more = False  # check_msg() stopped for the sake of others, not for lack of data
        self.clock = clock
        self.settings = settings
        self._buffer = bytearray(settings.send_bytes)
        self._body = bytearray(settings.receive_bytes)
        self._piece = bytearray(_DRAIN_BYTES)
        self.open(None)

    def open(self, link):
        """Begin anew on `link`, which is ready."""
        self.link = link
        self.return_code = -1  # of the CONNACK
        self.packet_id = 0  # of the last PUBACK or SUBACK
        self.left = 0  # bytes still to be written, of `_packet` from `_at`
        self._collected = 0  # bytes in `_buffer`, and how many of them are or were `_packet`
        self._leaving = 0
        self._kind = 0  # first byte of the packet that is arriving, 0 = none of it is here
        self._pinged = None  # when, while the answer is out
        self._subscribed = -1  # while the answer is out
        self._spoke = self._heard = self.clock.ticks_ms()

    def close(self):
        """Forget the link and whatever was half done on it."""
        self.open(None)

    def age_ms(self, since):
        return self.clock.ticks_diff(self.clock.ticks_ms(), since)

    # ---- out

    def subscribe(self, filters, packet_id):
        """Ask for all `filters` (bytes) at QoS 1 in one packet, which the next flush sends."""
        self._subscribed = packet_id
        self._filters = len(filters)
        self.collect(0x82, bytes((packet_id >> 8, packet_id & 255)), filters, b"\1")

    def collect(self, kind, head, fields, end):
        """A packet of `head` and `fields`, each with its length before it and `end` behind."""
        for each in fields:
            head += bytes((len(each) >> 8, len(each) & 255)) + each + end
        rest = len(head)
        self.write(bytes((kind, rest) if rest < 128 else (kind, rest & 127 | 128, rest >> 7)))
        self.write(head)

    def write(self, data, size=-1):
        """For the encoders: collect `data`."""
        size = len(data) if size < 0 else size
        if not self.has_room(size):
            raise LinkError("the send buffer is full")
        for i in range(size):
            self._buffer[self._collected + i] = data[i]
        self._collected += size

    def has_room(self, size):
        return self._collected + size <= len(self._buffer)

    def transmit(self, packet, at, size):
        """Send a whole encoded packet from where it lies; it must stay there while `left`."""
        self._begin(packet, at, size)
        self.flush()

    def _begin(self, packet, at, size):
        self._packet = packet
        self._at = at
        self.left = size
        self._began = self.clock.ticks_ms()

    def flush(self):
        """Write what the link takes now. Raises LinkError when it is not through in time."""
        while True:
            if not self.left:
                if self._leaving == self._collected:
                    break
                self._begin(self._buffer, self._leaving, self._collected - self._leaving)
                self._leaving = self._collected
            # TLS demands that a write which took nothing is repeated with the same bytes
            try:
                taken = self.link.write(self._packet, self._at, self.left)
            except OSError as error:
                raise LinkError(str(error))
            if not taken:
                if self.age_ms(self._began) > self.settings.packet_timeout_ms:
                    raise LinkError("the peer takes nothing")
                return
            self._at += taken
            self.left -= taken
            self._spoke = self.clock.ticks_ms()
        self._leaving = self._collected = 0

    def disconnect(self):
        """Say DISCONNECT if it can be said at once."""
        if self.link is not None and not self.left:
            try:
                self.write(b"\xe0\0")
                self.flush()
            except LinkError:
                pass  # we were leaving anyway

    def keep_alive(self):
        """Ping when it was quiet, either way. Raises LinkError when the peer is silent."""
        quiet_ms = self.settings.keep_alive_s * _PING_PER_MILLE
        if self._pinged is not None:
            if self.age_ms(self._pinged) > self.settings.answer_timeout_ms:
                raise LinkError("no answer to PINGREQ")
        elif not self.left and quiet_ms <= max(self.age_ms(self._spoke), self.age_ms(self._heard)):
            self.ping()
            self.flush()
            self._pinged = self.clock.ticks_ms()

    # ---- in

    connect = wait_msg = unsubscribe = set_last_will = None

    def check_msg(self):
        """Receive what is there; the kind of the packet that became whole, or None.

        CONNACK, SUBACK and PUBACK leave their content in attributes; a PUBLISH has been
        through the callback. Raises LinkError, ProtocolError.
        """
        # Nothing is taken in while something is on its way out: an answer would need its place.
        # A callback may have closed the link.
        if self.link is None or self.left or not self._receive():
            return None
        kind, body = self._kind, self._body
        self._kind = 0
        self._pinged = None
        self._heard = self.clock.ticks_ms()
        # CONNACK comes first, and once
        is_legal = (kind == _CONNACK) == (self.return_code < 0)
        if kind == _CONNACK:
            self.return_code = body[1]
        elif is_legal and kind & 0xF0 == _PUBLISH:
            is_legal = self._take_publish(kind & _QOS1, body)
        else:
            self.packet_id = body[0] << 8 | body[1]
            if kind == _SUBACK:
                is_legal = self._take_suback(body)
        if not is_legal:
            raise ProtocolError("packet 0x%02x is not as MQTT has it" % kind)
        return kind & 0xF0

    def _take_suback(self, body):
        """False for one that nobody asked for, or that refuses a filter."""
        if self.packet_id != self._subscribed or self._length != 2 + self._filters:
            return False
        self._subscribed = -1
        for i in range(2, self._length):
            if body[i] > 1:
                return False
        return True

    def _take_publish(self, needs_ack, body):
        """False when the topic is longer than its packet or our buffer, or the packet id is 0.

        Source: MQTT 3.1.1 §3.3. The acknowledgement follows the callback's return.
        """
        end = 2 + (body[0] << 8 | body[1])
        start = end + needs_ack
        if start > min(self._length, len(body)):
            return False
        message = None
        if self._length <= len(body):
            message = bytes(memoryview(body)[start : self._length])
        packet_id = bytes(memoryview(body)[end:start])
        if packet_id == b"\0\0":
            return False
        taken = self.cb(bytes(memoryview(body)[2:end]), message)
        if needs_ack and taken is not False and self.link is not None:
            self.write(b"\x40\2" + packet_id)
            self.flush()
        return True

    def _receive(self):
        """Take what the link has; True when a packet is whole."""
        self.has_more = False
        for _ in range(_MOST_PIECES):
            if not self._kind or self._shift >= 0:
                taken = self._read(self._piece, 0, 1)
                if taken:
                    self._take_head(self._piece[0])
            else:
                at = self._received
                room = min(self._length, len(self._body)) - at
                if at == self._length:
                    return True
                if room > 0:
                    taken = self._read(self._body, at, room)
                else:
                    taken = self._read(self._piece, 0, min(self._length - at, _DRAIN_BYTES))
                self._received += taken
            if not taken:
                if self._kind and self.age_ms(self._started) > self.settings.packet_timeout_ms:
                    raise LinkError("a packet did not come whole in time")
                return False
        self.has_more = True
        return False

    def _read(self, buffer, at, size):
        try:
            return self.link.read_into(buffer, at, size)
        except OSError as error:
            raise LinkError(str(error))

    def _take_head(self, byte):
        """The first byte, or the next of up to four of the length. Source: §2.2"""
        if not self._kind:
            self._kind = byte
            self._length = self._shift = self._received = 0
            self._started = self.clock.ticks_ms()
        else:
            self._length |= (byte & 127) << self._shift
            self._shift += 7
        kind = _PUBLISH if self._kind & _KIND_AND_QOS2 == _PUBLISH else self._kind
        least, most = _LENGTHS.get(kind, (1, 0))
        is_last = self._shift and (byte < 128 or self._shift > 21)
        if least > most or (is_last and not least <= self._length <= most):
            raise ProtocolError("packet 0x%02x with a length of %d" % (self._kind, self._length))
        if is_last:
            self._shift = -1
