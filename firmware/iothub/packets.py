"""MQTT 3.1.1 packets as bytes: the few fields that are written and patched in place.

Source: OASIS MQTT 3.1.1, §2 and §3.3.
"""

from micropython import const

CONNACK = const(0x20)
PUBLISH = const(0x30)
PUBACK = const(0x40)
SUBACK = const(0x90)
PINGRESP = const(0xD0)
# In the first byte of a PUBLISH
QOS_BITS = const(0x06)
QOS1_BITS = const(0x02)

_PUBLISH_QOS1 = const(0x32)
_DUP = const(0x08)


def length_bytes(length):
    """How many bytes the remaining length takes. Source: §2.2.3"""
    return 1 if length < 128 else 2 if length < 16384 else 3 if length < 2097152 else 4


def publish_size(topic, payload):
    """The size of a whole QoS 1 PUBLISH, from those of its two parts."""
    rest = 2 + topic + 2 + payload
    return 1 + length_bytes(rest) + rest


def write_publish(into, at, topic, suffix, payload, size):
    """Write a QoS 1 PUBLISH of `payload[:size]` to `topic + suffix`, its packet id still 0."""
    topic_bytes = len(topic) + len(suffix)
    into[at] = _PUBLISH_QOS1
    at = write_length(into, at + 1, 2 + topic_bytes + 2 + size)
    into[at] = topic_bytes >> 8
    into[at + 1] = topic_bytes & 0xFF
    at = _copy(topic, len(topic), into, at + 2)
    at = _copy(suffix, len(suffix), into, at)
    into[at] = into[at + 1] = 0
    _copy(payload, size, into, at + 2)


def set_packet_id(packet, at, packet_id):
    """Patch the id of the PUBLISH at `at`."""
    at += 1
    while packet[at] & 0x80:
        at += 1
    at += 3 + (packet[at + 1] << 8 | packet[at + 2])
    packet[at] = packet_id >> 8
    packet[at + 1] = packet_id & 0xFF


def set_duplicate(packet, at):
    packet[at] |= _DUP


def write_length(into, at, length):
    while length > 0x7F:
        into[at] = length & 0x7F | 0x80
        length >>= 7
        at += 1
    into[at] = length
    return at + 1


def _copy(source, size, into, at):
    """Byte by byte where a slice of `source` would cost heap."""
    if size == len(source):
        into[at : at + size] = source
    else:
        for i in range(size):
            into[at + i] = source[i]
    return at + size
