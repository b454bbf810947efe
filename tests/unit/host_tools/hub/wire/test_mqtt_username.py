"""Usernames as the SDKs write them, and as older firmware does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.hub.wire.mqtt_username import Username, parse_username
from host_tools.hub.wire.protocol_error import ProtocolError

MODEL = "dtmi:com:example:Thermostat;1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "localhost/dev1/?api-version=2020-09-30&DeviceClientType=azure-iot-device-iothub-py"
            "%2F2.14.0%28linux%3Bx86%29&model-id=dtmi%3Acom%3Aexample%3AThermostat%3B1",
            Username("localhost", "dev1", "", MODEL),
        ),
        (f"hub:8883/d/?model-id={MODEL}&api-version=x", Username("hub:8883", "d", "", MODEL)),
        (f"h/d/api-version=2021-04-12&model-id={MODEL}", Username("h", "d", "", MODEL)),
        ("h/d/?api-version=2021-04-12", Username("h", "d", "", "")),
        ("h/d/?api-version=1&DeviceClientType=a/b", Username("h", "d", "", "")),
        ("h/d/api-version=1&DeviceClientType=a/b", Username("h", "d", "", "")),
        ("h/d/", Username("h", "d", "", "")),
        ("h/d", Username("h", "d", "", "")),
        ("h/a%20b=?c/?api-version=1", Username("h", "a%20b=?c", "", "")),
        ("h/d/m/?api-version=1", Username("h", "d", "m", "")),
    ],
)
def test_usernames(text, expected):
    assert parse_username(text) == expected


@pytest.mark.parametrize(
    "text", ["", "h", "h/", "/d/", "//", "h//?x", "h/d/?model-id=" + "m" * 129]
)
def test_refused(text):
    with pytest.raises(ProtocolError):
        parse_username(text)


@given(st.text(alphabet="hd/?=&%é\0model-id", max_size=40))
def test_any_text_is_a_username_or_a_protocol_error(text):
    try:
        parse_username(text)
    except ProtocolError:
        pass
