"""Topics of the hub: what a device may publish to, subscribe to, and is sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.hub.wire import topics
from host_tools.hub.wire.protocol_error import ProtocolError


@pytest.mark.parametrize(
    ("topic", "meaning"),
    [
        ("devices/d/messages/events/", topics.Telemetry({})),
        ("devices/d/messages/events/%24.mid=1", topics.Telemetry({"$.mid": "1"})),
        ("$iothub/twin/GET/?$rid=ab-1", topics.TwinGet("ab-1")),
        ("$iothub/twin/GET/?x=1&$rid=%20", topics.TwinGet("%20")),
        ("$iothub/twin/PATCH/properties/reported/?$rid=7", topics.ReportedPatch("7")),
        ("$iothub/methods/res/200/?$rid=7", topics.MethodResponse("7", 200)),
        ("$iothub/methods/res/-1/?$rid=a=b", topics.MethodResponse("a=b", -1)),
        ("$iothub/methods/res/0/?%24rid=7", topics.MethodResponse("7", 0)),
    ],
)
def test_device_topics(topic, meaning):
    assert topics.parse_device_topic("d", topic) == meaning


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "devices/e/messages/events/",
        "devices/d/messages/events",
        "devices/d/messages/eventsx/",
        "devices/D/messages/events/",
        "devices/d/messages/events/a=%ff",
        "devices/d/messages/devicebound/",
        "/devices/d/messages/events/",
        "$iothub/twin/GET/",
        "$iothub/twin/GET/?$rid=",
        "$iothub/twin/GET/?rid=1",
        "$iothub/twin/GET/$rid=1",
        "$iothub/twin/GET?$rid=1",
        "$iothub/twin/get/?$rid=1",
        "$iothub/twin/GET/?$rid=" + "r" * 257,
        "$iothub/twin/PATCH/properties/desired/?$rid=1",
        "$iothub/methods/res/?$rid=1",
        "$iothub/methods/res/ok/?$rid=1",
        "$iothub/methods/res/1e2/?$rid=1",
        "$iothub/methods/res/٣/?$rid=1",
        "$iothub/methods/res/9999999999/?$rid=1",
        "$iothub/methods/res/200?$rid=1",
        "$iothub/methods/POST/reboot/?$rid=1",
    ],
)
def test_topics_that_the_hub_does_not_have(topic):
    with pytest.raises(ProtocolError):
        topics.parse_device_topic("d", topic)


@given(st.text(alphabet="$iothub/twin/GET/?$rid=&%2 4devices/d/messages/events/", max_size=60))
def test_any_topic_is_known_or_a_protocol_error(topic):
    try:
        topics.parse_device_topic("d", topic)
    except ProtocolError:
        pass


def test_filters():
    assert topics.documented_filter("d", "$iothub/methods/POST/#") == topics.METHODS
    assert topics.documented_filter("d", "$iothub/twin/res/#") == topics.TWIN_ANSWERS
    desired = "$iothub/twin/PATCH/properties/desired/#"
    assert topics.documented_filter("d", desired) == topics.DESIRED
    for devicebound in ("devices/d/messages/devicebound/#", "devices/+/messages/devicebound/#"):
        own = topics.documented_filter("d", devicebound)
        assert own == topics.devicebound_filter("d") == "devices/d/messages/devicebound/#"


@pytest.mark.parametrize(
    "topic_filter",
    ["#", "+/#", "$iothub/#", "devices/e/messages/devicebound/#", "messages/devicebound/#"],
)
def test_other_filters_are_not_documented(topic_filter):
    assert topics.documented_filter("d", topic_filter) is None


def test_topics_to_the_device():
    assert topics.build_desired(3) == "$iothub/twin/PATCH/properties/desired/?$version=3"
    assert topics.build_twin_answer(200, "r") == "$iothub/twin/res/200/?$rid=r"
    assert topics.build_twin_answer(204, "r", 9) == "$iothub/twin/res/204/?$rid=r&$version=9"
    bag = {"$.mid": "m", "a b": None}
    assert topics.build_devicebound("d", bag) == "devices/d/messages/devicebound/%24.mid=m&a%20b"


def test_a_star_stays_in_method_topics():
    topic = topics.build_method_request("thermostat1*get max/é", "1f")
    assert topic == "$iothub/methods/POST/thermostat1*get%20max%2F%C3%A9/?$rid=1f"
