"""The client's half of MQTT 3.1.1 as bytes, written apart from the hub's codec, for its tests."""

import struct


def string(value):
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(data)) + data


def packet(first, body=b""):
    length, field = len(body), b""
    while length > 127:
        field += bytes((length % 128 + 128,))
        length //= 128
    return bytes((first,)) + field + bytes((length,)) + body


def connect(
    client_id="dev1",
    username="localhost/dev1/?api-version=2021-04-12",
    password="token",
    clean=False,
    keep_alive=60,
    will=None,
    level=4,
    name="MQTT",
    reserved=0,
):
    """`will` is (topic, payload, qos, retain)."""
    flags = reserved | (2 if clean else 0)
    tail = string(client_id)
    if will is not None:
        topic, payload, qos, retain = will
        flags |= 4 | qos << 3 | (32 if retain else 0)
        tail += string(topic) + string(payload)
    if username is not None:
        flags |= 0x80
        tail += string(username)
    if password is not None:
        flags |= 0x40
        tail += string(password)
    return packet(
        0x10, string(name) + bytes((level, flags)) + struct.pack(">H", keep_alive) + tail
    )


def publish(topic, payload=b"", qos=0, packet_id=None, retain=False, dup=False):
    first = 0x30 | (8 if dup else 0) | qos << 1 | (1 if retain else 0)
    number = struct.pack(">H", packet_id) if qos else b""
    return packet(first, string(topic) + number + payload)


def subscribe(packet_id, *filters):
    """Each filter is (text, qos)."""
    body = b"".join(string(text) + bytes((qos,)) for text, qos in filters)
    return packet(0x82, struct.pack(">H", packet_id) + body)


def unsubscribe(packet_id, *filters):
    return packet(0xA2, struct.pack(">H", packet_id) + b"".join(map(string, filters)))


def puback(packet_id):
    return packet(0x40, struct.pack(">H", packet_id))


PINGREQ = packet(0xC0)
DISCONNECT = packet(0xE0)
