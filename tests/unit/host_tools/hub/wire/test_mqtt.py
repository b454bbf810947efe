"""The MQTT codec: whole packets from any pieces, and nothing but ProtocolError for rubbish."""

import itertools
import struct

import pytest
from doubles import mqtt_bytes as client
from hypothesis import given
from hypothesis import strategies as st

from host_tools.hub.wire import mqtt
from host_tools.hub.wire import mqtt_packets as p
from host_tools.hub.wire.protocol_error import ProtocolError

CONNECTED = client.connect()
TOPIC = "devices/dev1/messages/events/"


def decode(*pieces):
    decoder = mqtt.Decoder()
    packets = []
    for piece in pieces:
        decoder.feed(piece)
        while (packet := decoder.next_packet()) is not None:
            packets.append(packet)
    return packets


def decode_after_connect(data):
    return decode(CONNECTED, data)[1:]


def refuse(data, containing="", connected=True):
    with pytest.raises(ProtocolError, match=containing) as caught:
        decode(CONNECTED, data) if connected else decode(data)
    return caught.value


def test_connect_with_all_its_fields():
    will = (TOPIC, b"gone", 1, True)
    data = client.connect(clean=True, keep_alive=240, will=will, password=b"\xff\0")
    assert decode(data) == [
        p.Connect(
            client_id="dev1",
            clean_session=True,
            keep_alive_s=240,
            username="localhost/dev1/?api-version=2021-04-12",
            password=b"\xff\0",
            will=p.Will(TOPIC, b"gone", 1, True),
        )
    ]


def test_connect_without_what_is_optional():
    data = client.connect("", username=None, password=None)
    assert decode(data) == [p.Connect("", clean_session=False, keep_alive_s=60)]


def test_a_password_is_in_no_repr():
    assert "token" not in repr(decode(client.connect(password="token"))[0])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (client.connect(reserved=1), "reserved bit"),
        (client.connect(username=None), "password without"),
        (client.connect(reserved=0x08), "will that it does not have"),
        (client.connect(reserved=0x20), "will that it does not have"),
        (client.connect(will=(TOPIC, b"", 3, False)), "QoS 3"),
        (client.connect(will=("a/#", b"", 0, False)), "wildcard"),
        (client.connect(client_id=b"\xff"), "UTF-8"),
        (client.connect(client_id="a\0b"), "U\\+0000"),
        (client.connect(client_id=b"\xed\xa0\x80"), "UTF-8"),
        (client.packet(0x10, b"\0\4MQTT\4\xc2\0\x3c\0\x09dev1"), "beyond"),
        (client.packet(0x10, client.connect()[2:] + b"x"), "behind the last field"),
    ],
)
def test_connect_is_refused(data, text):
    assert refuse(data, text, connected=False).return_code is None


@pytest.mark.parametrize(
    "data", [client.connect(level=5), client.connect(level=3), client.connect(name="MQIsdp")]
)
def test_another_version_is_told_so(data):
    assert refuse(data, "3.1.1", connected=False).return_code == p.BAD_PROTOCOL_LEVEL


def test_connect_comes_first_and_once():
    refuse(client.PINGREQ, "comes first", connected=False)
    refuse(CONNECTED, "and once")


@pytest.mark.parametrize(
    ("data", "packet"),
    [
        (client.publish("t", b"x"), p.Publish("t", b"x")),
        (
            client.publish("t", b"", 1, 65535, retain=True, dup=True),
            p.Publish("t", b"", 1, 65535, retain=True, dup=True),
        ),
        (client.publish("t", b"x", 2, 1), p.Publish("t", b"x", 2, 1)),
        (client.puback(7), p.Puback(7)),
        (client.packet(0x50, b"\0\7"), p.Pubrec(7)),
        (client.packet(0x62, b"\0\7"), p.Pubrel(7)),
        (client.packet(0x70, b"\0\7"), p.Pubcomp(7)),
        (
            client.subscribe(9, ("a/#", 1), ("b/+", 2)),
            p.Subscribe(9, (("a/#", 1), ("b/+", 2))),
        ),
        (client.unsubscribe(9, "a/#", "b"), p.Unsubscribe(9, ("a/#", "b"))),
        (client.PINGREQ, p.Pingreq()),
        (client.DISCONNECT, p.Disconnect()),
    ],
)
def test_each_packet(data, packet):
    assert decode_after_connect(data) == [packet]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (client.publish("t", b"", 3, 1), "QoS 3"),
        (client.publish("t", dup=True), "duplicate"),
        (client.publish("", b""), "empty"),
        (client.publish("a/+", b""), "wildcard"),
        (client.publish("t", b"", 1, 0), "packet id 0"),
        (client.packet(0x32, b"\0\1t\0"), "beyond"),
        (client.packet(0x30, b"\0\5t"), "beyond"),
        (client.puback(0), "packet id 0"),
        (client.packet(0x41, b"\0\1"), "reserved flags of PUBACK"),
        (client.packet(0x60, b"\0\1"), "reserved flags of PUBREL"),
        (client.packet(0x80, b"\0\1\0\1a\0"), "reserved flags of SUBSCRIBE"),
        (client.packet(0x82, b"\0\1"), "without a filter"),
        (client.subscribe(1, ("", 0)), "empty filter"),
        (client.subscribe(1, ("a", 3)), "QoS above 2"),
        (client.subscribe(1, ("a", 0x81)), "QoS above 2"),
        (client.packet(0xA2, b"\0\1"), "without a filter"),
        (client.unsubscribe(1, ""), "without a filter"),
        (client.packet(0xC0, b"x"), "behind the last field"),
        (client.packet(0x00), "type 0"),
        (client.packet(0x20, b"\0\0"), "type 2"),
        (client.packet(0xF0), "type 15"),
        (b"\x30\xff\xff\xff\xff\x01", "four bytes"),
    ],
)
def test_what_is_refused(data, text):
    refuse(data, text)


def length_field(first, length):
    """Only the head of a packet, so that nothing but its announced length can be refused."""
    field = b""
    while length > 127:
        field += bytes((length % 128 + 128,))
        length //= 128
    return bytes((first,)) + field + bytes((length,))


@pytest.mark.parametrize(
    ("first", "limit", "connected"),
    [
        (0x30, mqtt.MAX_PUBLISH_BYTES, True),
        (0x82, mqtt.MAX_CONTROL_BYTES, True),
        (0xC0, mqtt.MAX_CONTROL_BYTES, True),
        (0x10, mqtt.MAX_CONNECT_BYTES, False),
    ],
)
def test_a_length_over_the_limit_is_refused_before_its_bytes(first, limit, connected):
    before = CONNECTED if connected else b""
    assert len(decode(before + length_field(first, limit))) == connected
    refuse(length_field(first, limit + 1), "too long", connected)


def test_the_largest_message_passes():
    data = client.publish("t" * mqtt.MAX_TOPIC_BYTES, bytes(mqtt.MAX_MESSAGE_BYTES), 1, 1)
    assert len(decode_after_connect(data)[0].payload) == 262_144


def test_an_error_stays():
    decoder = mqtt.Decoder()
    decoder.feed(b"\0\0" + CONNECTED)
    for _ in range(2):
        with pytest.raises(ProtocolError, match="type 0"):
            decoder.next_packet()


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
topics = texts.filter(lambda text: text and not set("+#") & set(text))
ids = st.integers(1, 65535)
packets = st.one_of(
    st.builds(client.publish, topics, st.binary(max_size=300)),
    st.builds(client.publish, topics, st.binary(), st.just(1), ids, st.booleans(), st.booleans()),
    st.builds(client.subscribe, ids, st.tuples(topics, st.integers(0, 2))),
    st.builds(client.unsubscribe, ids, topics, topics),
    st.builds(client.puback, ids),
    st.just(client.PINGREQ),
    st.just(client.DISCONNECT),
)
streams = st.lists(packets, max_size=6).map(lambda rest: CONNECTED + b"".join(rest))


@given(topics, st.binary(), st.booleans(), ids, st.booleans())
def test_a_publish_comes_back_as_it_was_built(topic, payload, qos, packet_id, dup):
    number = packet_id if qos else None
    packet = p.Publish(topic, payload, int(qos), number, dup=dup and qos)
    built = mqtt.build_publish(topic, payload, packet.qos, number, packet.dup)
    assert decode_after_connect(built) == [packet]
    assert built == client.publish(topic, payload, packet.qos, number, dup=packet.dup)


@given(streams)
def test_byte_by_byte_equals_whole(stream):
    assert decode(*(bytes((byte,)) for byte in stream)) == decode(stream)


@given(streams, st.lists(st.integers(0, 2000)))
def test_any_split_equals_whole(stream, cuts):
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    pieces = [stream[a:b] for a, b in itertools.pairwise(edges)]
    assert decode(*pieces) == decode(stream)


def outcome(*pieces):
    """The packets of the pieces and how they ended: None, or the error's text."""
    decoder, packets = mqtt.Decoder(), []
    for piece in pieces:
        decoder.feed(piece)
        try:
            while (packet := decoder.next_packet()) is not None:
                packets.append(packet)
        except ProtocolError as error:
            return packets, str(error)
    return packets, None


@given(st.binary(max_size=200), st.booleans())
def test_random_bytes_raise_only_protocol_errors(data, connected):
    start = CONNECTED if connected else b""
    whole = outcome(start + data)
    assert whole == outcome(start, *(bytes((byte,)) for byte in data))


@given(streams, st.lists(st.tuples(st.integers(0), st.integers(0, 255)), min_size=1, max_size=4))
def test_mutated_bytes_raise_only_protocol_errors(stream, changes):
    data = bytearray(stream)
    for place, value in changes:
        data[place % len(data)] = value
    assert outcome(bytes(data)) == outcome(*(bytes((byte,)) for byte in data))


def test_answers():
    assert mqtt.build_connack(0, session_present=True) == b"\x20\2\1\0"
    assert mqtt.build_connack(5, session_present=True) == b"\x20\2\0\5"
    assert mqtt.build_puback(258) == b"\x40\2\1\2"
    assert mqtt.build_suback(258, [0, 1, p.SUBSCRIPTION_REFUSED]) == b"\x90\5\1\2\0\1\x80"
    assert mqtt.build_unsuback(258) == b"\xb0\2\1\2"
    assert mqtt.build_pingresp() == b"\xd0\0"


@pytest.mark.parametrize("size", [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152])
def test_length_fields_at_their_edges(size):
    body = bytes(size)
    built = mqtt.build_publish("t", body)
    assert built == client.publish("t", body)
    assert built[-size:] == body if size else built.endswith(struct.pack(">H", 1) + b"t")
