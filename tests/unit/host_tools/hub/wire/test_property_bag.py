"""The property bag, as SDKs write it and as they read it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.hub.wire.property_bag import build_bag, parse_bag
from host_tools.hub.wire.protocol_error import ProtocolError


def test_what_the_python_sdk_writes():
    text = (
        "%24.mid=a%20b&%24.ct=application%2Fjson&%24.ce=utf-8&%24.sub=thermostat1"
        "&k%20y=a%2Bb%2Fc%26d%3D%C3%A9"
    )
    assert parse_bag(text) == {
        "$.mid": "a b",
        "$.ct": "application/json",
        "$.ce": "utf-8",
        "$.sub": "thermostat1",
        "k y": "a+b/c&d=é",
    }


@pytest.mark.parametrize(
    ("text", "bag"),
    [
        ("", {}),
        ("a", {"a": None}),
        ("a=", {"a": ""}),
        ("a=b=c", {"a": "b=c"}),
        ("a=b+c", {"a": "b+c"}),
        ("$.mid=1&%24.cid=2", {"$.mid": "1", "$.cid": "2"}),
        ("a=1&b=2&a=3", {"b": "2", "a": "3"}),
        ("&a=1&&", {"a": "1"}),
        ("a=100%", {"a": "100%"}),
    ],
)
def test_parse(text, bag):
    assert parse_bag(text) == bag
    assert list(parse_bag(text)) == list(bag)


@pytest.mark.parametrize("text", ["=x", "a=%ff", "%c3=1"])
def test_parse_refuses(text):
    with pytest.raises(ProtocolError):
        parse_bag(text)


def test_what_the_service_writes():
    bag = {"$.to": "/devices/d/messages/devicebound", "iothub-ack": "none", "n": None, "e": ""}
    assert build_bag(bag) == "%24.to=%2Fdevices%2Fd%2Fmessages%2Fdevicebound&iothub-ack=none&n&e="


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(st.dictionaries(texts.filter(bool), st.none() | texts))
def test_what_is_built_is_read_back(bag):
    text = build_bag(bag)
    assert parse_bag(text) == bag
    assert not set("#+ ") & set(text)


@given(st.text(alphabet="ab=&%24cfé+ $.", max_size=40))
def test_any_text_is_a_bag_or_a_protocol_error(text):
    try:
        parse_bag(text)
    except ProtocolError:
        pass
