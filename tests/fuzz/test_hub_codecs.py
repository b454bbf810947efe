"""The hub's codecs, in this process: damaged packets, frames, messages, topics and tokens give a
value or the module's own error, soon, and nothing else.

The failures of the past come first (corpus/hub_*.json). THERMO_FUZZ is how many there are of
each, THERMO_SEED gives a run again.
"""

import os
import random
import time
import uuid
from dataclasses import fields

import pytest
from doubles import mqtt_bytes
from doubles.damage import Damage, corpus, parts
from fuzz import seeds

from host_tools.hub.wire import (
    amqp_message,
    jwt,
    mqtt,
    mqtt_username,
    property_bag,
    sas,
    topics,
)
from host_tools.hub.wire.amqp_composites import _fields
from host_tools.hub.wire.amqp_decode import decode
from host_tools.hub.wire.amqp_encode import encode
from host_tools.hub.wire.amqp_frames import AMQP_HEADER, SASL_HEADER, FrameReader, build_frame
from host_tools.hub.wire.amqp_performatives import PERFORMATIVES, SASL_FRAMES, Source, Target
from host_tools.hub.wire.amqp_types import (
    Array,
    Byte,
    Char,
    Decimal32,
    Decimal128,
    Described,
    Float,
    Int,
    Long,
    Short,
    Symbol,
    Timestamp,
    UByte,
    UInt,
    ULong,
    UShort,
)
from host_tools.hub.wire.protocol_error import ProtocolError

COUNT = int(os.environ.get("THERMO_FUZZ", "2000"))
SEED = seeds.seed()
SEEDS = 200
SLOWEST_S = 1.0
LEAST_NEAR = 40
KEY = bytes(range(32))
BINARY_TRAPS = [b"\0", b"\xff", b"\x80", b"\x7f", b"\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\xff"]
AMQP_TRAPS = [b"\0", b"\0\0\0", b"\x40", b"\x45", b"\x45" * 300, b"\xc0\1\0", b"\xd0", b"\xf0"]
AMQP_TRAPS += [b"\xf0\0\0\0\x05\xff\xff\xff\xff\x40", b"\xc0\xff\xff" * 40, b"\0\x53\x10\xc0"]
AMQP_TRAPS += [b"\xa1\1\xff", b"\xa3\1\x80", b"\x73\0\0\xd8\0", b"\x56\2", *BINARY_TRAPS]
TEXT_TRAPS = [
    b"%",
    b"%2",
    b"%ff",
    b"%00",
    b"\0",
    b"\xc3\xa9",
    b"\xff",
    b"x" * 300,
    b"/",
    b"?",
    b"&",
]
TEXT_TRAPS += [
    b"=",
    b"$rid=",
    b"%24rid=2",
    b"#",
    b"+",
    b"\n",
    b"-1",
    b"9" * 400,
    b"://",
    b":",
    b".",
]
BAG = b"%24.mid=1&%24.ct=application%2Fjson&a=b&c&d=&temp%C3%A9rature=21%20%C2%B0C"


def sliced(data, chance):
    """`data` in up to eight pieces, cut anywhere."""
    ends = sorted(chance.randrange(len(data)) for _ in range(7)) if data else []
    begins = [0, *ends]
    found = [data[at:to] for at, to in zip(begins, [*ends, len(data)], strict=True)]
    return [piece for piece in found if piece]


class Codec:
    """`read(data)` gives a value, or raises `error`; `check(value)` may look at it."""

    error = ProtocolError
    traps = TEXT_TRAPS

    def seeds(self, chance):
        raise NotImplementedError

    def read(self, data):
        return self.of_text(data.decode("utf-8", "replace"))

    def check(self, value):
        pass


# ---- MQTT


def mqtt_packets():
    """Each as its first byte and the pieces of its body, the length not among them."""
    connect = mqtt_bytes.connect(will=("devices/dev1/messages/events/", b"gone", 1, False))
    text = mqtt_bytes.string
    yield [connect[:1], text("MQTT"), b"\4", b"\xee", b"\0\x3c"] + [
        text(each) for each in ("dev1", "t", "gone", "localhost/dev1/?api-version=1", "token")
    ]
    yield [b"\x10", text("MQTT"), b"\4", b"\2", b"\0\0", text("dev1")]
    yield [b"\x32", text("devices/dev1/messages/events/a=b"), b"\0\7", b'{"a": 1}']
    yield [b"\x30", text("$iothub/twin/GET/?$rid=1")]
    yield [b"\x82", b"\0\1", text("$iothub/twin/res/#"), b"\1", text("$iothub/#"), b"\0"]
    yield [b"\xa2", b"\0\1", text("$iothub/twin/res/#"), text("a")]
    for kind in (b"\x40", b"\x50", b"\x62", b"\x70"):
        yield [kind, b"\0\7"]
    yield [b"\xc0"]
    yield [b"\xe0"]


class MqttStream(Codec):
    """The bytes of a connection, the same whole and byte by byte."""

    traps = [*BINARY_TRAPS, b"\xff\xff\xff\x7f", b"\x10", b"\x30", b"\x32", b"\x82", b"#", b"+"]

    def seeds(self, chance):
        packets = [mqtt_bytes.packet(each[0][0], b"".join(each[1:])) for each in mqtt_packets()]
        hello = mqtt_bytes.connect()
        return [[hello[:1], hello[1:2], hello[2:], *chance.sample(packets, 3)] for _ in range(50)]

    def read(self, data):
        whole, error = self.story(data, len(data) or 1)
        split, same = self.story(data, 1)
        assert (whole, str(error)) == (split, str(same))
        if error:
            raise error
        return whole

    def story(self, data, size):
        decoder, found = mqtt.Decoder(), []
        try:
            for at in range(0, len(data), size):
                decoder.feed(data[at : at + size])
                while (packet := decoder.next_packet()) is not None:
                    found.append(packet)
        except ProtocolError as error:
            with pytest.raises(ProtocolError):
                decoder.next_packet()
            return found, error
        return found, None

    def check(self, value):
        for packet in value:
            number = getattr(packet, "packet_id", None)
            assert number is None or 1 <= number <= 0xFFFF
            if isinstance(packet, mqtt.p.Publish):
                assert packet.topic
                assert not set("#+\0") & set(packet.topic)


class MqttPackets(MqttStream):
    """A packet's first byte and its body, with the length that it has."""

    def seeds(self, chance):
        return list(mqtt_packets())

    def read(self, data):
        packet = mqtt_bytes.packet(data[0], data[1:]) if data else b""
        hello = b"" if data[:1] == b"\x10" else mqtt_bytes.connect()
        return MqttStream.read(self, hello + packet)


class MqttUsername(Codec):
    def seeds(self, chance):
        names = (
            b"localhost/dev1/?api-version=2021-04-12&DeviceClientType=x%2F1&model-id=dtmi%3Aa%3Bb%3B1",
            b"localhost/dev1/mod1/?api-version=2021-04-12",
            b"localhost/dev1/api-version=2016-11-14",
        )
        return [parts(each, b"/?&=%") for each in names]

    def of_text(self, text):
        return mqtt_username.parse_username(text)

    def check(self, value):
        assert value.host
        assert value.device_id
        assert len(value.model_id) <= mqtt_username.MAX_MODEL_ID_CHARS


# ---- AMQP


def amqp_value(chance, depth=0):
    """Any value, of any type."""
    simple = [
        lambda: None,
        lambda: chance.random() < 0.5,
        lambda: chance.choice((UByte, UShort, UInt, ULong, Byte, Short))(chance.randrange(128)),
        lambda: chance.choice((Int, Long, Timestamp))(chance.randrange(-(1 << 31), 1 << 31)),
        lambda: chance.choice((1.5, float("inf"), float("nan"), Float(0.25))),
        lambda: Char(chance.choice("aé\U0001f321")),
        lambda: chance.choice((Decimal32(b"1234"), Decimal128(b"1" * 16))),
        lambda: uuid.UUID(int=chance.getrandbits(128)),
        lambda: chance.randbytes(chance.randrange(20)),
        lambda: chance.choice(("", "hub", "°C", "x" * 300)),
        lambda: Symbol(chance.choice(("", "amqp:link:detach-forced", "x" * 300))),
    ]
    if depth > 2 or chance.random() < 0.6:
        return chance.choice(simple)()
    many = [amqp_value(chance, depth + 1) for _ in range(chance.randrange(5))]
    kind = chance.randrange(4)
    if kind == 0:
        return many
    if kind == 1:
        return {Symbol(f"key{at}"): each for at, each in enumerate(many)}
    if kind == 2:
        return Array(UInt, tuple(map(UInt, range(len(many)))))
    return Described(chance.choice((ULong(0x24), Symbol("x"))), many)


def composite(kind, chance):
    """One of that kind, most of its fields of the right type, some of any, at its end left out."""
    values = []
    for _, spec, is_mandatory in _fields(kind):
        deed = chance.random()
        if deed < 0.1:
            values.append(amqp_value(chance))
        elif deed < 0.4 and not is_mandatory:
            values.append(None)
        else:
            values.append(right_value(spec, chance))
    if chance.random() < 0.3:
        del values[chance.randrange(len(values) + 1) :]
    return Described(chance.choice((ULong(kind.CODE), Symbol(kind.NAME))), values)


def right_value(spec, chance):
    if spec.many:
        return Array(Symbol, (Symbol("a"), Symbol("b")))
    if spec.of is object:
        return composite(chance.choice((Source, Target)), chance)
    if spec.of is bool:
        return chance.random() < 0.5
    if spec.of is dict:
        return {Symbol("a"): amqp_value(chance, 1)}
    if issubclass(spec.of, int):
        return spec.of(chance.choice((0, 1, 255)))
    return spec.of(b"name") if spec.of is bytes else spec.of("name")


class AmqpValues(Codec):
    traps = AMQP_TRAPS

    def seeds(self, chance):
        return [sliced(encode(amqp_value(chance)), chance) for _ in range(SEEDS)]

    def read(self, data):
        return decode(data)

    def check(self, value):
        """What was read can be written, and is read as the same."""
        octets = encode(value)
        assert encode(decode(octets)) == octets


class AmqpPerformatives(Codec):
    """The body of a frame, with the size that it has, after the header of AMQP or else SASL's."""

    traps = AMQP_TRAPS

    def seeds(self, chance):
        kinds = PERFORMATIVES + SASL_FRAMES
        made = [encode(composite(chance.choice(kinds), chance)) for _ in range(SEEDS)]
        return [sliced(each, chance) for each in made]

    def read(self, data):
        try:
            return self.frames(AMQP_HEADER, 0, data)
        except ProtocolError:
            return self.frames(SASL_HEADER, 1, data)

    def frames(self, header, kind, body):
        head = (8 + len(body)).to_bytes(4, "big") + bytes((2, kind, 0, 7))
        return read_frames(header.to_bytes() + head + body, 1 << 20)[1:]

    def check(self, value):
        for frame in value:
            if frame.body is not None:
                again = build_frame(frame.channel, frame.body, frame.payload)
                header = SASL_HEADER if frame.is_sasl else AMQP_HEADER
                (_, same) = read_frames(header.to_bytes() + again, 1 << 20)
                assert build_frame(same.channel, same.body, same.payload) == again


def read_frames(data, size):
    reader, found = FrameReader(), []
    for at in range(0, len(data), size):
        reader.feed(data[at : at + size])
        while (event := reader.next_event()) is not None:
            found.append(event)
    return found


class AmqpFrames(Codec):
    """The bytes of a connection, the same whole and in a hundred pieces."""

    traps = AMQP_TRAPS

    def seeds(self, chance):
        found = []
        for _ in range(SEEDS):
            pieces = [AMQP_HEADER.to_bytes()]
            for _ in range(3):
                body = encode(composite(chance.choice(PERFORMATIVES), chance))
                size = (8 + len(body)).to_bytes(4, "big")
                pieces += [size, b"\2", b"\0", b"\0\0", *sliced(body, chance)]
            found.append(pieces)
        return found

    def read(self, data):
        whole = self.story(data, len(data) or 1)
        # What differs is only how soon it is told that this is no AMQP
        if data[:4] == b"AMQP":
            assert repr(whole) == repr(self.story(data, 1 + len(data) // 100))
        if isinstance(whole, ProtocolError):
            raise whole
        return whole

    def story(self, data, size):
        try:
            return read_frames(data, size)
        except ProtocolError as error:
            return error


class AmqpMessages(Codec):
    traps = AMQP_TRAPS

    def seeds(self, chance):
        return [[encode(each) for each in self.sections(chance)] for _ in range(SEEDS)]

    def sections(self, chance):
        for code in (0x70, 0x71, 0x72, 0x73, 0x74):
            if chance.random() < 0.5:
                continue
            kind = {0x70: amqp_message.Header, 0x73: amqp_message.Properties}.get(code)
            if kind is not None:
                yield composite(kind, chance)
            else:
                yield Described(ULong(code), {Symbol("a"): amqp_value(chance, 1), "b": "c"})
        body = chance.choice((Described(ULong(0x75), b"body"), Described(ULong(0x76), [True])))
        yield from chance.choice(([body], [body, body], [Described(ULong(0x77), "body")]))

    def read(self, data):
        return amqp_message.parse_message(data)

    def check(self, value):
        octets = amqp_message.build_message(value)
        again = amqp_message.parse_message(octets)
        assert amqp_message.build_message(again) == octets
        assert [each.name for each in fields(again)] == [each.name for each in fields(value)]


# ---- texts


class Topics(Codec):
    def seeds(self, chance):
        found = (
            b"devices/dev1/messages/events/" + BAG,
            b"$iothub/twin/GET/?$rid=1",
            b"$iothub/twin/PATCH/properties/reported/?$rid=1&x=y",
            b"$iothub/methods/res/200/?$rid=a-7",
            b"$iothub/methods/res/-1/?x=y&%24rid=3",
        )
        return [parts(each, b"/?&=%$") for each in found]

    def of_text(self, text):
        return topics.parse_device_topic("dev1", text)

    def check(self, value):
        if isinstance(value, topics.Telemetry):
            assert property_bag.parse_bag(property_bag.build_bag(value.bag)) == value.bag
        else:
            assert 0 < len(value.request_id) <= topics.MAX_REQUEST_ID_CHARS


class Requests(Codec):
    def seeds(self, chance):
        return [parts(each, b"?&=%$") for each in (b"?$rid=1&operationId=4.op", b"?%24rid=x&a")]

    def of_text(self, text):
        return topics.parse_request(text)


class Bags(Codec):
    def seeds(self, chance):
        return [parts(BAG, b"&=%$"), parts(b"a=%31+2&b=%25&%26=%3D", b"&=%$")]

    def of_text(self, text):
        return property_bag.parse_bag(text)

    def check(self, value):
        assert all(value)
        assert property_bag.parse_bag(property_bag.build_bag(value)) == value


class SasTokens(Codec):
    """No damaged token is one that the key has signed, unless it says the same."""

    error = sas.SasError

    def __init__(self):
        self.right = [
            sas.build_token("localhost/devices/dev1", KEY, 1_800_000_000),
            sas.build_token("localhost", KEY, 1_800_000_000, "iothubowner"),
        ]
        self.known = {(each.resource, each.expiry) for each in map(sas.parse_token, self.right)}

    def seeds(self, chance):
        return [parts(each.encode(), b" &=%") for each in self.right]

    def read(self, data):
        # As aiohttp reads a header
        return sas.parse_token(data.decode("utf-8", "surrogateescape"))

    def check(self, value):
        value.is_expired(0)
        value.covers({"localhost"}, "devices/dev1")
        assert not value.is_signed_by(KEY) or (value.resource, value.expiry) in self.known


class JsonWebTokens(Codec):
    error = jwt.JwtError

    def __init__(self):
        self.claims = {"aud": "https://iothubs.azure.net", "exp": 1_800_000_000, "n": [1, "é"]}
        self.right = jwt.build_jwt(self.claims, KEY)

    def seeds(self, chance):
        return [parts(self.right.encode(), b".")]

    def read(self, data):
        return jwt.parse_jwt(data.decode("utf-8", "surrogateescape"), KEY)

    def check(self, value):
        assert value == self.claims


CODECS = {
    "hub_mqtt_stream": MqttStream,
    "hub_mqtt_packets": MqttPackets,
    "hub_mqtt_username": MqttUsername,
    "hub_amqp_values": AmqpValues,
    "hub_amqp_performatives": AmqpPerformatives,
    "hub_amqp_frames": AmqpFrames,
    "hub_amqp_messages": AmqpMessages,
    "hub_topics": Topics,
    "hub_requests": Requests,
    "hub_bags": Bags,
    "hub_sas": SasTokens,
    "hub_jwt": JsonWebTokens,
}


def hold(codec, data):
    """Whether it was taken. Nothing but the module's own error may come out, and soon."""
    began = time.process_time()
    try:
        codec.check(codec.read(data))
    except codec.error:
        return False
    finally:
        assert time.process_time() - began < SLOWEST_S
    return True


@pytest.mark.parametrize("name", CODECS)
def test_failures_of_the_past(name):
    codec = CODECS[name]()
    verdicts = [(data.hex(), taken, hold(codec, data)) for data, taken in corpus(name)]
    assert verdicts
    assert [each for each in verdicts if each[1] not in (None, each[2])] == []


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", CODECS)
def test_damaged(name):
    codec, chance = CODECS[name](), random.Random(SEED)
    seeds = codec.seeds(chance)
    damage, taken = Damage(seeds, codec.traps, chance), 0
    for number in range(COUNT):
        # Right ones, too: of AMQP's not every one is what its descriptor says
        is_whole = number % 4 == 0
        data = b"".join(chance.choice(seeds)) if is_whole else damage.next()
        try:
            taken += hold(codec, data)
        except Exception as error:
            raise AssertionError(f"seed {SEED}, number {number}: {data.hex()}") from error
    assert 0 < taken < COUNT
    assert damage.near * 100 >= LEAST_NEAR * damage.made
