"""AMQP frames, performatives and messages: full length, any split, and nothing but AmqpError."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.hub.wire import amqp_frames
from host_tools.hub.wire.amqp_decode import decode
from host_tools.hub.wire.amqp_encode import encode
from host_tools.hub.wire.amqp_frames import AMQP_HEADER, SASL_HEADER, FrameReader, build_frame
from host_tools.hub.wire.amqp_message import (
    Data,
    Header,
    Message,
    Properties,
    Sequence,
    Value,
    build_message,
    parse_message,
)
from host_tools.hub.wire.amqp_performatives import (
    Accepted,
    Attach,
    Begin,
    Close,
    Detach,
    Disposition,
    End,
    Error,
    Flow,
    Open,
    Rejected,
    SaslInit,
    SaslMechanisms,
    SaslOutcome,
    Source,
    Target,
    Transfer,
)
from host_tools.hub.wire.amqp_types import AmqpError, Described, Symbol, UInt, ULong

FILTER = Symbol("apache.org:selector-filter:string")
SAMPLES = [
    (Open("hub", max_frame_size=65536, idle_time_out=240000, properties={Symbol("a"): "b"}), b""),
    (Begin(remote_channel=1, incoming_window=5000, outgoing_window=5000), b""),
    (
        Attach(
            "link",
            3,
            True,
            source=Source("amqps://h/q", filter={FILTER: Described(FILTER, "x > '1'")}),
            target=Target("here", capabilities=("a", "b")),
            initial_delivery_count=0,
            max_message_size=2**40,
        ),
        b"",
    ),
    (Flow(incoming_window=10, handle=0, link_credit=100, drain=True), b""),
    (Transfer(0, 7, b"tag", 0, False), b"payload"),
    (Disposition(True, 7, 9, True, Rejected(Error("amqp:not-found", "no such device"))), b""),
    (Disposition(True, 7, state=Accepted()), b""),
    (Detach(3, True, Error("amqp:unauthorized-access")), b""),
    (End(), b""),
    (Close(Error("amqp:internal-error")), b""),
]
LENGTHS = {
    Open: 10,
    Begin: 8,
    Attach: 14,
    Flow: 11,
    Transfer: 11,
    Disposition: 6,
    Detach: 3,
    End: 1,
    Close: 1,
}


def read_all(reader):
    events = []
    event = reader.next_event()
    while event is not None:
        events.append(event)
        event = reader.next_event()
    return events


def stream():
    return AMQP_HEADER.to_bytes() + b"".join(
        build_frame(channel, body, payload) for channel, (body, payload) in enumerate(SAMPLES)
    )


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: type(s[0]).__name__)
def test_performatives_survive_the_round_trip(sample):
    body, payload = sample
    reader = FrameReader()
    reader.feed(AMQP_HEADER.to_bytes() + build_frame(5, body, payload))
    header, frame = read_all(reader)
    assert header == AMQP_HEADER
    assert (frame.channel, frame.body, frame.payload) == (5, body, payload)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: type(s[0]).__name__)
def test_performatives_go_out_at_full_length(sample):
    described = decode(encode(sample[0].describe()))
    assert len(described.value) == LENGTHS[type(sample[0])]


def test_a_shortened_list_is_completed_with_defaults():
    octets = encode(Described(ULong(0x10), ["x"]))
    reader = FrameReader()
    reader.feed(AMQP_HEADER.to_bytes() + len(octets + b"8" * 8).to_bytes(4, "big"))
    reader.feed(b"\x02\x00\x00\x00" + octets)
    assert read_all(reader)[1].body == Open("x")


@given(st.lists(st.integers(0, 2000), max_size=30))
def test_frames_come_out_the_same_at_any_split(cuts):
    data = stream()
    reader = FrameReader()
    events = []
    edges = [0, *sorted(cut % len(data) for cut in cuts), len(data)]
    for start, end in itertools.pairwise(edges):
        reader.feed(data[start:end])
        events += read_all(reader)
    assert [event.body for event in events[1:]] == [body for body, _ in SAMPLES]


def test_frames_come_out_byte_by_byte():
    reader = FrameReader()
    events = []
    for octet in stream():
        reader.feed(bytes((octet,)))
        events += read_all(reader)
    assert len(events) == 1 + len(SAMPLES)


def test_mutated_frames_raise_only_the_protocol_error():
    chance = random.Random(20120101)
    data = stream()
    for _ in range(3000):
        octets = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            octets[chance.randrange(len(octets))] = chance.randrange(256)
        reader = FrameReader()
        try:
            reader.feed(bytes(octets))
            read_all(reader)
        except AmqpError:
            pass


@given(st.binary(max_size=400))
def test_random_bytes_after_the_header_raise_only_the_protocol_error(data):
    reader = FrameReader()
    try:
        reader.feed(AMQP_HEADER.to_bytes() + data)
        read_all(reader)
    except AmqpError:
        pass


def test_sasl_frames_and_the_second_header():
    reader = FrameReader()
    init = SaslInit("PLAIN", b"\0user\0secret", "host")
    reader.feed(SASL_HEADER.to_bytes() + build_frame(0, init))
    assert read_all(reader)[1].body == init
    assert "secret" not in repr(init)
    reader.await_header()
    reader.feed(AMQP_HEADER.to_bytes() + build_frame(0, None))
    assert read_all(reader)[1].body is None


def test_mechanisms_go_out_in_one_array():
    octets = encode(SaslMechanisms(("A", "B")).describe())
    assert decode(octets).value[0].items == ("A", "B")
    single = Described(ULong(0x40), [Symbol("A")])
    reader = FrameReader()
    frame = encode(single)
    reader.feed(SASL_HEADER.to_bytes() + (8 + len(frame)).to_bytes(4, "big") + b"\2\1\0\0" + frame)
    assert read_all(reader)[1].body == SaslMechanisms(("A",))


def bad_frame(octets, header=AMQP_HEADER):
    reader = FrameReader()
    reader.feed(header.to_bytes() + bytes.fromhex(octets))
    with pytest.raises(AmqpError) as caught:
        read_all(reader)
    return caught.value


@pytest.mark.parametrize(
    "octets",
    ["0000000702000000", "7fffffff02000000", "0000000801000000", "0000000803000000"],
)
def test_framing_faults_are_framing_errors(octets):
    assert bad_frame(octets).condition == amqp_frames.FRAMING_ERROR


def test_a_sasl_frame_after_the_amqp_header_is_refused():
    assert "kind" in str(bad_frame(build_frame(0, SaslOutcome(0)).hex()))
    assert "kind" in str(bad_frame(build_frame(0, Close()).hex(), SASL_HEADER))


def test_an_oversized_frame_is_refused_before_its_bytes_are_awaited():
    size = amqp_frames.MAX_FRAME_BYTES + 1
    assert "longer" in str(bad_frame(size.to_bytes(4, "big").hex() + "02000000"))


@pytest.mark.parametrize("beginning", [b"G", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", b"AMQX"])
def test_another_protocol_is_told_at_once(beginning):
    reader = FrameReader()
    reader.feed(beginning)
    with pytest.raises(AmqpError, match="begin"):
        reader.next_event()


@pytest.mark.parametrize(
    "value",
    [
        Described(ULong(0x10), []),  # a mandatory field is missing
        Described(ULong(0x10), [None]),
        Described(ULong(0x10), [UInt(1)]),  # of another type
        Described(ULong(0x17), [None, None]),  # too many
        Described(ULong(0x17), "no list"),
        Described(ULong(0x99), []),
        "no performative",
    ],
)
def test_broken_performatives_are_refused(value):
    octets = encode(value)
    bad_frame((len(octets) + 8).to_bytes(4, "big").hex() + "02000000" + octets.hex())


MESSAGES = [
    Message(Data((b"one", b"two"))),
    Message(Value("text")),
    Message(Value(None), properties=Properties(message_id=ULong(0))),
    Message(Sequence(([UInt(1)], ["two"]))),
    Message(
        Data((b"",)),
        Header(ttl=5000),
        {Symbol("d"): UInt(1)},
        {Symbol("x-opt-offset"): "12"},
        Properties("id", b"user", "/devices/d", correlation_id=b"c", content_type="text/plain"),
        {"key": "value", "count": UInt(3)},
        {Symbol("f"): True},
    ),
]


@pytest.mark.parametrize("message", MESSAGES)
def test_messages_survive_the_round_trip(message):
    assert parse_message(build_message(message)) == message


def test_a_message_without_body_is_data_of_nothing():
    message = parse_message(encode(Properties(subject="s").describe()))
    assert bytes(message.body) == b""


def section(code, value):
    return encode(Described(ULong(code), value))


@pytest.mark.parametrize(
    "payload",
    [
        section(0x75, b"a") + section(0x73, []),
        section(0x75, b"a") + section(0x77, None),
        section(0x77, None) + section(0x77, None),
        section(0x75, "text"),
        section(0x76, b"a"),
        section(0x74, []),
        section(0x79, []),
        section(0x73, [UInt(1)]),
        section(0x70, "no list"),
        encode(Described(UInt(0x73), [])),
        encode(Described(Symbol("amqp:unheard-of:list"), [])),
        encode(Described(Symbol("amqp:footer:map"), [])),
        encode("bare"),
    ],
)
def test_broken_messages_are_refused(payload):
    with pytest.raises(AmqpError):
        parse_message(payload)


def test_mutated_messages_raise_only_the_protocol_error():
    chance = random.Random(7)
    for _ in range(2000):
        octets = bytearray(build_message(chance.choice(MESSAGES)))
        octets[chance.randrange(len(octets))] = chance.randrange(256)
        try:
            parse_message(bytes(octets))
        except AmqpError:
            pass
