"""AMQP values: the standard's encodings, round trips of any value, and nothing but AmqpError."""

import math
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.hub.wire import amqp_decode
from host_tools.hub.wire.amqp_decode import decode
from host_tools.hub.wire.amqp_encode import encode
from host_tools.hub.wire.amqp_types import (
    AmqpError,
    Array,
    Byte,
    Char,
    Decimal32,
    Decimal64,
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


def integers(kind, bits, signed):
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return st.integers(low, high).map(kind)


PRIMITIVES = [
    st.none(),
    st.booleans(),
    integers(UByte, 8, False),
    integers(UShort, 16, False),
    integers(UInt, 32, False),
    integers(ULong, 64, False),
    integers(Byte, 8, True),
    integers(Short, 16, True),
    integers(Int, 32, True),
    integers(Long, 64, True),
    integers(Timestamp, 64, True),
    st.floats(width=32).map(Float),
    st.floats(),
    st.characters(exclude_categories=["Cs"]).map(Char),
    st.binary(min_size=4, max_size=4).map(Decimal32),
    st.binary(min_size=8, max_size=8).map(Decimal64),
    st.binary(min_size=16, max_size=16).map(Decimal128),
    st.uuids(),
    st.binary(max_size=300),
    st.text(max_size=300),
    st.text(st.characters(max_codepoint=127), max_size=300).map(Symbol),
]
ELEMENTS = [
    (type(None), PRIMITIVES[0]),
    (bool, PRIMITIVES[1]),
    *((kind, s) for kind, s in zip((UByte, UShort, UInt, ULong), PRIMITIVES[2:6], strict=True)),
    *((kind, s) for kind, s in zip((Byte, Short, Int, Long), PRIMITIVES[6:10], strict=True)),
    (Timestamp, PRIMITIVES[10]),
    (float, PRIMITIVES[12]),
    (Char, PRIMITIVES[13]),
    (Decimal32, PRIMITIVES[14]),
    (uuid.UUID, st.uuids()),
    (bytes, st.binary()),
    (str, st.text()),
    (Symbol, PRIMITIVES[20]),
    (list, st.lists(st.one_of(PRIMITIVES), max_size=3)),
    (dict, st.dictionaries(st.text(), st.integers(0, 9).map(UInt), max_size=3)),
]
primitives = st.one_of(PRIMITIVES)
arrays = st.sampled_from(ELEMENTS).flatmap(
    lambda pair: st.builds(
        Array,
        st.just(pair[0]),
        st.lists(pair[1], max_size=5).map(tuple),
        st.one_of(st.none(), st.text(max_size=5).map(lambda t: t)),
    )
)
values = st.recursive(
    primitives | arrays,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(st.text(max_size=5), inner, max_size=5),
        st.builds(Described, st.integers(0, 2**64 - 1).map(ULong), inner),
        st.lists(st.lists(inner, max_size=2), max_size=2).map(lambda i: Array(list, tuple(i))),
    ),
    max_leaves=12,
)


def same(left, right):
    """Equal, types included; NaN is itself."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    if isinstance(left, dict):
        return same(list(left), list(right)) and same(list(left.values()), list(right.values()))
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


@given(values)
def test_any_value_survives_the_round_trip_with_its_type(value):
    assert same(decode(encode(value)), value)


@given(st.binary(max_size=200))
def test_random_bytes_raise_only_the_protocol_error(data):
    try:
        decode(data)
    except AmqpError:
        pass


@given(values, st.integers(0, 10_000), st.integers(0, 255))
def test_mutated_bytes_raise_only_the_protocol_error(value, position, octet):
    data = bytearray(encode(value))
    data[position % len(data)] = octet
    try:
        decode(bytes(data))
    except AmqpError:
        pass


@given(values, st.integers(0, 10_000))
def test_a_cut_value_is_refused(value, position):
    data = encode(value)
    with pytest.raises(AmqpError):
        decode(data[: position % len(data)])


@pytest.mark.parametrize(
    ("value", "octets"),
    [
        (None, "40"),
        (True, "41"),
        (False, "42"),
        (UInt(0), "43"),
        (UInt(255), "52ff"),
        (UInt(256), "7000000100"),
        (ULong(0), "44"),
        (ULong(16), "5310"),
        (ULong(2**40), "800000010000000000"),
        (Int(-1), "54ff"),
        (Int(200), "71000000c8"),
        (Long(-128), "5580"),
        (Timestamp(0), "830000000000000000"),
        (1.0, "823ff0000000000000"),
        ("é", "a102c3a9"),
        (Symbol("a"), "a30161"),
        (b"\x00", "a00100"),
        ([], "45"),
        ([None, True], "c003024041"),
        ({Symbol("k"): UByte(1)}, "c10602a3016b5001"),
        (Array(Symbol, ("a", "b")), "e00c02b300000001610000000162"),
        (Described(ULong(0x24), []), "00532445"),
    ],
)
def test_encodings_of_the_standard(value, octets):
    assert encode(value).hex() == octets
    assert same(decode(bytes.fromhex(octets)), value) or isinstance(value, Array)


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        ("5602", "neither 0 nor 1"),
        ("a1ff61", "beyond its frame"),
        ("a101ff", "not utf-8"),
        ("a301ff", "not ascii"),
        ("730000d800", "scalar"),
        ("7300110000", "scalar"),
        ("99", "unknown type"),
        ("4040", "follow"),
        ("c0050140", "beyond"),
        ("c003014040", "size of a compound"),
        ("c1020140", "without a value"),
        ("c1050440404040", "twice"),
        ("c103024540", "a map key is a compound"),
        ("e00201f9", "unknown constructor"),
        ("", "beyond"),
    ],
)
def test_faults_are_named(octets, text):
    with pytest.raises(AmqpError, match=text):
        decode(bytes.fromhex(octets))


def test_an_array_of_four_billion_nulls_is_refused():
    with pytest.raises(AmqpError, match="too many"):
        decode(bytes.fromhex("f000000005ffffffff40"))


@pytest.mark.parametrize("octets", ["00", "c0ff01", "d0000000ff00000001", "f0000000ff00000001f0"])
def test_bottomless_nesting_is_refused(octets):
    with pytest.raises(AmqpError):
        decode(bytes.fromhex(octets) * 5000)


def test_nesting_to_the_limit_is_read():
    value: object = None
    for _ in range(amqp_decode.MAX_DEPTH):
        value = [value]
    assert decode(encode(value)) == value
    with pytest.raises(AmqpError, match="deep"):
        decode(encode([value]))


@pytest.mark.parametrize("value", [1, object(), UByte(256), Symbol("é"), Array(int, (1,))])
def test_a_value_without_a_type_is_our_own_mistake(value):
    with pytest.raises(Exception) as caught:
        encode(value)
    assert not isinstance(caught.value, AmqpError)
