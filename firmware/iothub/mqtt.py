"""MQTT 3.1.1 over a link that never blocks: `umqtt.simple`, with its defects taken out.

What remains of `umqtt.simple.MQTTClient` (1.3.4, and 1.6 to 1.8 alike), because over a `sock`
that only collects bytes it is sound:
    __init__, set_callback, set_last_will   they only keep what they are given
    publish at QoS 0, ping, disconnect      they only write; called from the guards below
    _send_str                               length and bytes; always given bytes here
What is replaced, and why:
    connect       opens a socket of its own, blocks, and answers a refusal with IndexError
    publish at QoS 1, subscribe, unsubscribe
                  wait inside for their answer; packet ids run past 65535; five writes a packet
    wait_msg, check_msg
                  block within a packet, deliver cut packets, allocate what the peer asks for
Here a packet leaves in one write, bounded in time, and arrives through `iothub.receiver`. Every
failure is LinkError (close, dial again) or ProtocolError (the peer is not one of ours: close).
A caller sends only while `is_sending()` is False.

Source: OASIS MQTT 3.1.1.
"""

from iothub.errors import LinkError, ProtocolError
from iothub.packets import (
    CONNACK,
    PINGRESP,
    PUBLISH,
    QOS1_BITS,
    QOS_BITS,
    SUBACK,
    length_bytes,
    write_length,
)
from iothub.receiver import Receiver
from micropython import const
from umqtt.simple import MQTTClient

# Ping at 3/4 of the keep-alive time: noticed dead before the hub's own limit of 3/2
_PING_PER_MILLE = const(750)

_SUBSCRIPTION_REFUSED = const(0x80)
_LAST_RETURN_CODE = const(5)


class _Outgoing:
    """Stands for the socket: collects what the inherited encoders write in small pieces."""

    def __init__(self, size):
        self.buffer = bytearray(size)
        self.size = 0

    def write(self, data, size=-1):
        size = len(data) if size < 0 else size
        if size > len(self.buffer) - self.size:
            raise LinkError("the send buffer is full")
        for i in range(size):
            self.buffer[self.size + i] = data[i]
        self.size += size

    def room(self):
        return len(self.buffer) - self.size

    def close(self):
        pass


class Client(MQTTClient):
    """One device's MQTT client; `open()` gives it a link, `close()` takes it away.

    `settings`: see `iothub.session`. The callback gets (topic, body) as bytes, body None for
    a packet that was too long; it answers False to leave a QoS 1 packet unacknowledged.
    """

    def __init__(self, client_id, server, user, clock, settings):
        MQTTClient.__init__(
            self, client_id, server, settings.port, user, None, settings.keep_alive_s
        )
        self.return_code = -1  # of the CONNACK
        self.session_present = False
        self.refused_filters = 0  # of the SUBACK
        self.packet_id = 0  # of the last PUBACK or SUBACK
        self._clock = clock
        self._packet_timeout_ms = settings.packet_timeout_ms
        self._answer_timeout_ms = settings.answer_timeout_ms
        self._ping_after_ms = settings.keep_alive_s * _PING_PER_MILLE
        self._link = None
        self.sock = _Outgoing(settings.send_bytes)
        self._puback = bytearray(b"\x40\x02\0\0")
        self._receiver = Receiver(settings.receive_bytes, clock, settings.packet_timeout_ms)
        self._reset()

    def open(self, link):
        """Begin anew on `link`, which is ready."""
        self._reset()
        self._link = link
        self._last_sent = self._last_received = self._clock.ticks_ms()

    def close(self):
        """Forget the link and whatever was half done on it."""
        self._reset()

    def _reset(self):
        self._link = None
        self.return_code = -1
        self.sock.size = 0
        self._collected = 0  # of sock.buffer, how much is being or was written
        self._packet = self.sock.buffer  # what is being written: buffer, offset, bytes left
        self._packet_at = 0
        self._packet_left = 0
        self._began = 0
        self._is_pinging = False
        self._ping_began = 0
        self._filters = 0  # how many the SUBSCRIBE had, and its packet id
        self._subscribe_id = -1
        self._receiver.expect()

    # ---- out

    def is_sending(self):
        return self._packet_left > 0 or self.sock.size > self._collected

    def connect(self, clean_session=False):
        """Send CONNECT with `user`, `pswd` (None with a client certificate) and the will."""
        flags = 0x02 if clean_session else 0
        fields = [_as_bytes(self.client_id)]
        if self.lw_topic:
            fields += [_as_bytes(self.lw_topic), _as_bytes(self.lw_msg)]
            flags |= 0x04 | self.lw_qos << 3 | (0x20 if self.lw_retain else 0)
        if self.user is not None:
            fields.append(_as_bytes(self.user))
            flags |= 0x80
        if self.pswd is not None:
            fields.append(_as_bytes(self.pswd))
            flags |= 0x40
        self._write_head(0x10, 10 + sum([2 + len(field) for field in fields]))
        self._send_str(b"MQTT")
        self.sock.write(bytes((4, flags, self.keepalive >> 8, self.keepalive & 0xFF)))
        for field in fields:
            self._send_str(field)
        self.flush()

    def subscribe(self, filters, packet_id):
        """Ask for all `filters` (bytes) at QoS 1 in one packet; the answer is a SUBACK."""
        self._write_head(0x82, 2 + sum([2 + len(each) + 1 for each in filters]))
        self.sock.write(bytes((packet_id >> 8, packet_id & 0xFF)))
        for each in filters:
            self._send_str(each)
            self.sock.write(b"\x01")
        self._filters = len(filters)
        self._subscribe_id = packet_id

    def publish(self, topic, msg, retain=False, qos=0):
        """Send `msg` (bytes) at QoS 0. For QoS 1: see `iothub.outbox` and `transmit`."""
        assert qos == 0
        assert self.can_publish(topic, msg)
        MQTTClient.publish(self, topic, msg, retain)

    def can_publish(self, topic, msg):
        return 5 + 2 + len(topic) + len(msg) <= self.sock.room()

    def transmit(self, buffer, offset, size):
        """Send a whole encoded packet from where it lies; it must stay there meanwhile."""
        assert not self.is_sending()
        self._begin(buffer, offset, size)
        self.flush()

    def ping(self):
        MQTTClient.ping(self)
        self._is_pinging = True
        self._ping_began = self._clock.ticks_ms()
        self.flush()

    def disconnect(self):
        """Say DISCONNECT if it can be said at once."""
        if self._link is None or self.is_sending():
            return
        try:
            MQTTClient.disconnect(self)
            self.flush()
        except LinkError:
            pass  # we were leaving anyway

    def flush(self):
        """Write what the link takes now; True when nothing is left to send.

        Raises LinkError when a packet is not through in time.
        """
        while self.is_sending():
            if not self._packet_left:
                self._begin(self.sock.buffer, self._collected, self.sock.size - self._collected)
                self._collected = self.sock.size
            taken = self._write()
            if not taken:
                if self._age_ms(self._began) > self._packet_timeout_ms:
                    raise LinkError("the peer takes nothing")
                return False
            self._packet_at += taken
            self._packet_left -= taken
            self._last_sent = self._clock.ticks_ms()
        self.sock.size = self._collected = 0
        return True

    def _begin(self, buffer, offset, size):
        self._packet = buffer
        self._packet_at = offset
        self._packet_left = size
        self._began = self._clock.ticks_ms()

    def _write(self):
        # TLS demands that a write which took nothing is repeated with the same bytes
        try:
            return self._link.write(self._packet, self._packet_at, self._packet_left)
        except OSError as error:
            raise LinkError(str(error))

    def _write_head(self, kind, rest):
        head = bytearray(1 + length_bytes(rest))
        head[0] = kind
        write_length(head, 1, rest)
        self.sock.write(head)

    # ---- alive

    def keep_alive(self):
        """Ping when it was quiet, either way. Raises LinkError when the peer is silent."""
        if self._is_pinging:
            if self._age_ms(self._ping_began) > self._answer_timeout_ms:
                raise LinkError("no answer to PINGREQ")
        elif not self.is_sending() and (
            self._age_ms(self._last_sent) >= self._ping_after_ms
            or self._age_ms(self._last_received) >= self._ping_after_ms
        ):
            self.ping()

    def _age_ms(self, since):
        return self._clock.ticks_diff(self._clock.ticks_ms(), since)

    # ---- in

    def check_msg(self):
        """Receive what is there; the kind of the packet that became whole, or None.

        CONNACK, SUBACK and PUBACK leave their content in attributes; a PUBLISH has been
        through the callback. Raises LinkError, ProtocolError.
        """
        receiver = self._receiver
        # Nothing is taken in while something is on its way out: an answer would need its place.
        # A callback may have closed the link.
        if self._link is None or self.is_sending() or not receiver.receive(self._link):
            return None
        kind, length = receiver.kind, receiver.length
        receiver.expect()
        self._last_received = self._clock.ticks_ms()
        self._is_pinging = False
        if (kind == CONNACK) != (self.return_code < 0):
            raise ProtocolError("CONNACK is not the first packet, or not the only one")
        if kind & 0xF0 == PUBLISH:
            self._take_publish(kind, length, receiver.body)
        else:
            self._take_answer(kind, length, receiver.body)
        return kind & 0xF0

    def has_more(self):
        """`check_msg` stopped for the sake of others, not for lack of data."""
        return self._receiver.has_more

    def wait_msg(self):
        raise NotImplementedError("it would block; check_msg does not")

    def unsubscribe(self, topic):
        raise NotImplementedError("the four subscriptions are for life")

    def _take_answer(self, kind, length, body):
        if kind == CONNACK:
            if body[0] > 1 or body[1] > _LAST_RETURN_CODE:
                raise ProtocolError("CONNACK %d %d" % (body[0], body[1]))
            self.session_present = bool(body[0])
            self.return_code = body[1]
        elif kind != PINGRESP:
            self.packet_id = body[0] << 8 | body[1]
            if kind == SUBACK:
                self._take_suback(length, body)

    def _take_suback(self, length, body):
        if self.packet_id != self._subscribe_id or length != 2 + self._filters:
            raise ProtocolError("a SUBACK that nobody asked for")
        self._subscribe_id = -1
        self.refused_filters = 0
        for i in range(2, length):
            if body[i] == _SUBSCRIPTION_REFUSED:
                self.refused_filters += 1
            elif body[i] > 1:
                raise ProtocolError("SUBACK grants 0x%02x" % body[i])

    def _take_publish(self, kind, length, body):
        """Source: MQTT 3.1.1 §3.3. The acknowledgement follows the callback's return."""
        at = 2 + (body[0] << 8 | body[1])
        needs_ack = kind & QOS_BITS == QOS1_BITS
        start = at + 2 if needs_ack else at
        if start > min(length, len(body)):
            raise ProtocolError("a topic longer than its packet, or than our buffer")
        packet_id = body[at] << 8 | body[at + 1] if needs_ack else 0
        if needs_ack and not packet_id:
            raise ProtocolError("a PUBLISH with packet id 0")
        message = None if length > len(body) else bytes(memoryview(body)[start:length])
        taken = self.cb(bytes(memoryview(body)[2:at]), message)
        if needs_ack and taken is not False and self._link is not None:
            self._puback[2] = packet_id >> 8
            self._puback[3] = packet_id & 0xFF
            self.sock.write(self._puback)
            self.flush()


def _as_bytes(text):
    """umqtt counts characters and sends bytes: give it bytes."""
    return text.encode() if isinstance(text, str) else text
