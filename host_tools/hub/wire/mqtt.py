"""MQTT 3.1.1 for a server, without a socket: bytes in, packets out, and packets to bytes.

`Decoder` takes bytes cut anywhere and hands back whole packets. For whatever a peer sends it
either returns a packet or raises ProtocolError; any other exception is a bug of this module.
What the packets mean to a hub is left to the endpoint.

Source: OASIS MQTT 3.1.1, sections 1.5, 2, 3 and 4.8.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable

from host_tools.hub.wire import mqtt_packets as p
from host_tools.hub.wire.protocol_error import ProtocolError

# Limits that a peer can hit. Each is checked on the length field, before the bytes it announces.
MAX_TOPIC_BYTES = 0xFFFF
"""MQTT's own limit: the length of a string is two bytes (section 1.5.3)."""
MAX_MESSAGE_BYTES = 256 * 1024
"""IoT Hub's limit for a device-to-cloud message."""
MAX_PUBLISH_BYTES = MAX_MESSAGE_BYTES + MAX_TOPIC_BYTES + 4
"""The largest PUBLISH that can hold an allowed message: body, topic, its length, packet id."""
MAX_CONNECT_BYTES = 64 * 1024
"""What a stranger may make the hub keep. A token and a username need 1 KB, a will the rest."""
MAX_CONTROL_BYTES = 16 * 1024
"""For all other packets: five subscriptions of the longest device id need 1 KB."""

_LENGTH_BYTES = 4
_PROTOCOL_NAME = "MQTT"
_PROTOCOL_LEVEL = 4


class Decoder:
    """Turns the bytes of one client, in pieces of any size, into packets.

    The first packet must be CONNECT and no other may be (section 3.1). After an error the
    stream has no frame any more, so the same error is raised again.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._connected = False
        self._error: ProtocolError | None = None

    def feed(self, data: bytes) -> None:
        """Take what the peer sent."""
        self._buffer += data

    def next_packet(self) -> p.ClientPacket | None:
        """Return the next whole packet, or None when bytes are missing.

        Raises ProtocolError.
        """
        if self._error is not None:
            raise self._error
        try:
            return self._next_packet()
        except ProtocolError as error:
            self._error = error
            self._buffer.clear()
            raise

    def _next_packet(self) -> p.ClientPacket | None:
        if not self._buffer:
            return None
        kind, flags = self._buffer[0] >> 4, self._buffer[0] & 0x0F
        self._check_kind(kind, flags)
        header = _remaining_length(self._buffer)
        if header is None:
            return None
        start, length = header
        if length > _limit(kind):
            raise ProtocolError(f"{_NAMES[kind]} of {length} bytes is too long")
        if len(self._buffer) < start + length:
            return None
        body = _Body(bytes(memoryview(self._buffer)[start : start + length]))
        del self._buffer[: start + length]
        packet = _PARSERS[kind](body, flags)
        body.must_be_used_up(_NAMES[kind])
        self._connected = True
        return packet

    def _check_kind(self, kind: int, flags: int) -> None:
        if kind not in _PARSERS:
            raise ProtocolError(f"packet type {kind} is not for a client to send")
        if (kind == p.CONNECT) is self._connected:
            raise ProtocolError(f"{_NAMES[kind]} out of place: CONNECT comes first, and once")
        if kind != p.PUBLISH and flags != _FLAGS.get(kind, 0):
            raise ProtocolError(f"reserved flags of {_NAMES[kind]} are {flags:#x}")


def _remaining_length(buffer: bytearray) -> tuple[int, int] | None:
    """Return where the body starts and its length; None when the field is incomplete."""
    length = 0
    for index in range(_LENGTH_BYTES):
        if 1 + index >= len(buffer):
            return None
        byte = buffer[1 + index]
        length |= (byte & 0x7F) << 7 * index
        if not byte & 0x80:
            return 2 + index, length
    raise ProtocolError("the length field has more than four bytes")


def _limit(kind: int) -> int:
    if kind == p.PUBLISH:
        return MAX_PUBLISH_BYTES
    return MAX_CONNECT_BYTES if kind == p.CONNECT else MAX_CONTROL_BYTES


class _Body:
    """Reads the fields of one packet in order; each reader raises ProtocolError when cut."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        end = self._at + count
        if end > len(self._data):
            raise ProtocolError("a field reaches beyond its packet")
        piece = self._data[self._at : end]
        self._at = end
        return piece

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def binary(self) -> bytes:
        return self.take(self.number())

    def text(self) -> str:
        try:
            text = self.binary().decode()
        except UnicodeDecodeError:
            raise ProtocolError("a string is not UTF-8") from None
        if "\0" in text:
            raise ProtocolError("a string holds U+0000")
        return text

    def packet_id(self) -> int:
        number = self.number()
        if not number:
            raise ProtocolError("packet id 0")
        return number

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    @property
    def is_used_up(self) -> bool:
        return self._at == len(self._data)

    def must_be_used_up(self, name: str) -> None:
        if not self.is_used_up:
            raise ProtocolError(f"bytes behind the last field of {name}")


def _connect(body: _Body, flags: int) -> p.Connect:
    if body.text() != _PROTOCOL_NAME or body.byte() != _PROTOCOL_LEVEL:
        raise ProtocolError("not MQTT 3.1.1", p.BAD_PROTOCOL_LEVEL)
    bits = body.byte()
    _check_connect_bits(bits)
    keep_alive_s = body.number()
    client_id = body.text()
    will = None
    if bits & 0x04:
        will = p.Will(_topic(body), body.binary(), (bits >> 3) & 3, bool(bits & 0x20))
    return p.Connect(
        client_id=client_id,
        clean_session=bool(bits & 0x02),
        keep_alive_s=keep_alive_s,
        username=body.text() if bits & 0x80 else None,
        password=body.binary() if bits & 0x40 else None,
        will=will,
    )


def _check_connect_bits(bits: int) -> None:
    """Bits 7 to 0: username, password, will retain, will QoS (2), will, clean, reserved."""
    if bits & 0x01:
        raise ProtocolError("the reserved bit of CONNECT is set")
    if bits & 0x40 and not bits & 0x80:
        raise ProtocolError("CONNECT has a password without a username")
    if not bits & 0x04 and bits & 0x38:
        raise ProtocolError("CONNECT describes a will that it does not have")
    if bits & 0x18 == 0x18:
        raise ProtocolError("the will has QoS 3")


def _topic(body: _Body) -> str:
    """A topic that is published to: one character at least, and no wildcard."""
    topic = body.text()
    if not topic or "+" in topic or "#" in topic:
        raise ProtocolError("a topic name is empty or holds a wildcard")
    return topic


def _publish(body: _Body, flags: int) -> p.Publish:
    qos, dup = (flags >> 1) & 3, bool(flags & 8)
    if qos == 3:
        raise ProtocolError("PUBLISH with QoS 3")
    if dup and not qos:
        raise ProtocolError("PUBLISH with QoS 0 marked as a duplicate")
    return p.Publish(
        topic=_topic(body),
        packet_id=body.packet_id() if qos else None,
        payload=body.rest(),
        qos=qos,
        retain=bool(flags & 1),
        dup=dup,
    )


def _subscribe(body: _Body, flags: int) -> p.Subscribe:
    packet_id = body.packet_id()
    filters = []
    while not body.is_used_up:
        topic_filter, qos = body.text(), body.byte()
        if not topic_filter or qos > 2:
            raise ProtocolError("SUBSCRIBE with an empty filter or a QoS above 2")
        filters.append((topic_filter, qos))
    if not filters:
        raise ProtocolError("SUBSCRIBE without a filter")
    return p.Subscribe(packet_id, tuple(filters))


def _unsubscribe(body: _Body, flags: int) -> p.Unsubscribe:
    packet_id = body.packet_id()
    filters = []
    while not body.is_used_up:
        filters.append(body.text())
    if not filters or "" in filters:
        raise ProtocolError("UNSUBSCRIBE without a filter")
    return p.Unsubscribe(packet_id, tuple(filters))


_PARSERS: dict[int, Callable[[_Body, int], p.ClientPacket]] = {
    p.CONNECT: _connect,
    p.PUBLISH: _publish,
    p.PUBACK: lambda body, flags: p.Puback(body.packet_id()),
    p.PUBREC: lambda body, flags: p.Pubrec(body.packet_id()),
    p.PUBREL: lambda body, flags: p.Pubrel(body.packet_id()),
    p.PUBCOMP: lambda body, flags: p.Pubcomp(body.packet_id()),
    p.SUBSCRIBE: _subscribe,
    p.UNSUBSCRIBE: _unsubscribe,
    p.PINGREQ: lambda body, flags: p.Pingreq(),
    p.DISCONNECT: lambda body, flags: p.Disconnect(),
}

_NAMES = {
    p.CONNECT: "CONNECT",
    p.PUBLISH: "PUBLISH",
    p.PUBACK: "PUBACK",
    p.PUBREC: "PUBREC",
    p.PUBREL: "PUBREL",
    p.PUBCOMP: "PUBCOMP",
    p.SUBSCRIBE: "SUBSCRIBE",
    p.UNSUBSCRIBE: "UNSUBSCRIBE",
    p.PINGREQ: "PINGREQ",
    p.DISCONNECT: "DISCONNECT",
}

# Table 2.2: the flags of all packets but PUBLISH are fixed, and 0 where not named here.
_FLAGS = {p.PUBREL: 2, p.SUBSCRIBE: 2, p.UNSUBSCRIBE: 2}


def build_connack(return_code: int, session_present: bool = False) -> bytes:
    """`session_present` may be set only with return code 0 (section 3.2.2.2)."""
    present = session_present and return_code == p.ACCEPTED
    return bytes((p.CONNACK << 4, 2, present, return_code))


def build_publish(
    topic: str, payload: bytes, qos: int = 0, packet_id: int | None = None, dup: bool = False
) -> bytes:
    """`packet_id` is 1 to 65535 for QoS 1, and None for QoS 0."""
    name = topic.encode()
    head = struct.pack(">H", len(name)) + name
    if packet_id is not None:
        head += struct.pack(">H", packet_id)
    flags = dup << 3 | qos << 1
    return _frame(p.PUBLISH, flags, head + payload)


def build_puback(packet_id: int) -> bytes:
    return struct.pack(">BBH", p.PUBACK << 4, 2, packet_id)


def build_suback(packet_id: int, return_codes: Iterable[int]) -> bytes:
    """One code for each filter asked for, in order: the granted QoS, or SUBSCRIPTION_REFUSED."""
    return _frame(p.SUBACK, 0, struct.pack(">H", packet_id) + bytes(return_codes))


def build_unsuback(packet_id: int) -> bytes:
    return struct.pack(">BBH", p.UNSUBACK << 4, 2, packet_id)


def build_pingresp() -> bytes:
    return bytes((p.PINGRESP << 4, 0))


def _frame(kind: int, flags: int, body: bytes) -> bytes:
    length, field = len(body), bytearray()
    while True:
        length, low = length >> 7, length & 0x7F
        field.append(low | 0x80 if length else low)
        if not length:
            return bytes((kind << 4 | flags,)) + field + body
