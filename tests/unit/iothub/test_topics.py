"""The grammar of the hub's topics; whatever is not in it is a ProtocolError."""

from doubles.keys import KEY
from expect import raises
from iothub import topics
from iothub.errors import ProtocolError
from iothub.identity import parse as parse_identity
from iothub.topics import DESIRED, MESSAGE, METHOD, TWIN_ANSWER, parse, parse_bag

DEVICE = "stove-1"


def test_twin_answers():
    arrival = parse(b"$iothub/twin/res/200/?$rid=7", DEVICE)
    assert (arrival.kind, arrival.status, arrival.request_id) == (TWIN_ANSWER, 200, "7")
    assert arrival.version == -1
    for topic in (
        b"$iothub/twin/res/204/?$rid=a-B9&$version=12",
        b"$iothub/twin/res/204/?$version=12&$rid=a-B9",
        b"$iothub/twin/res/204/?%24version=12&%24rid=a-B9&more=1",
    ):
        arrival = parse(topic, DEVICE)
        assert (arrival.status, arrival.request_id, arrival.version) == (204, "a-B9", 12)


def test_desired_patches():
    arrival = parse(b"$iothub/twin/PATCH/properties/desired/?$version=3", DEVICE)
    assert (arrival.kind, arrival.version) == (DESIRED, 3)


def test_methods():
    arrival = parse(b"$iothub/methods/POST/thermostat1*getMaxMinReport/?$rid=2f", DEVICE)
    assert (arrival.kind, arrival.name) == (METHOD, "thermostat1*getMaxMinReport")
    assert arrival.request_id == "2f"
    assert parse(b"$iothub/methods/POST/a%2Ab/?$rid=1", DEVICE).name == "a*b"


def test_messages_with_their_properties():
    bag = (
        b"%24.mid=m%201&$.to=%2Fdevices%2Fstove-1%2Fmessages%2Fdevicebound"
        b"&%24.ce=utf-8&iothub-ack=none&empty=&null&plus=a+b&eq=a=b&text=%C2%B0"
    )
    arrival = parse(b"devices/stove-1/messages/devicebound/" + bag, DEVICE)
    assert arrival.kind == MESSAGE
    assert arrival.properties == {
        "$.mid": "m 1",
        "$.to": "/devices/stove-1/messages/devicebound",
        "$.ce": "utf-8",
        "iothub-ack": "none",
        "empty": "",
        "null": None,
        "plus": "a+b",
        "eq": "a=b",
        "text": "°",
    }
    assert parse(b"devices/stove-1/messages/devicebound/", DEVICE).properties == {}


def test_anything_else_is_refused():
    for topic in (
        b"",
        b"$",
        b"$iothub/twin/res/",
        b"$iothub/twin/res/200",
        b"$iothub/twin/res/200/",
        b"$iothub/twin/res/200/?",
        b"$iothub/twin/res/200/?$rid=",
        b"$iothub/twin/res/200/?$rid",
        b"$iothub/twin/res/20/?$rid=1",
        b"$iothub/twin/res/2000/?$rid=1",
        b"$iothub/twin/res/2x0/?$rid=1",
        b"$iothub/twin/res/+20/?$rid=1",
        b"$iothub/twin/res/200/$rid=1",
        b"$iothub/twin/res/200/x/?$rid=1",
        b"$iothub/twin/res/200/?$rid=1&$rid=2",
        b"$iothub/twin/res/204/?$rid=1&$version=x",
        b"$iothub/twin/res/204/?$rid=1&$version=",
        b"$iothub/twin/res/204/?$rid=1&$version=-1",
        b"$iothub/twin/res/204/?$rid=1&$version=" + b"1" * 20,
        b"$iothub/twin/PATCH/properties/desired/",
        b"$iothub/twin/PATCH/properties/desired/?",
        b"$iothub/twin/PATCH/properties/desired/?$version",
        b"$iothub/twin/PATCH/properties/reported/?$rid=1",
        b"$iothub/twin/GET/?$rid=1",
        b"$iothub/methods/POST/?$rid=1",
        b"$iothub/methods/POST//?$rid=1",
        b"$iothub/methods/POST/a/b/?$rid=1",
        b"$iothub/methods/POST/a/?$rid=1/2",
        b"$iothub/methods/POST/a/?$rid=" + b"1" * 65,
        b"$iothub/methods/POST/a/?$rid=1%202",
        b"$iothub/methods/POST/a/?$rid=%23",
        b"$iothub/methods/POST/a%0/?$rid=1",
        b"$iothub/methods/POST/" + b"a" * 257 + b"/?$rid=1",
        b"$iothub/methods/res/200/?$rid=1",
        b"$IOTHUB/methods/POST/a/?$rid=1",
        b"devices/stove-2/messages/devicebound/",
        b"devices/stove-1/messages/events/",
        b"devices/stove-1/messages/devicebound",
        b"devices/stove-1/messages/devicebound/a=1&&b=2",
        b"devices/stove-1/messages/devicebound/a=1&a=2",
        b"devices/stove-1/messages/devicebound/=1",
        b"devices/stove-1/messages/devicebound/a=%zz",
        b"devices/stove-1/messages/devicebound/a\0",
        b"devices/stove-1/messages/devicebound/a\n",
        b"devices/stove-1/messages/devicebound/#",
        b"devices/stove-1/messages/devicebound/\xff\xfe",
        b"\xc3\x28",
        b"/" * 65535,
        b"&".join([b"%d" % i for i in range(65)]),
    ):
        with raises(ProtocolError):
            parse(topic, DEVICE)
    with raises(ProtocolError, "more than"):
        parse_bag("&".join(["p%d=1" % i for i in range(65)]))
    assert len(parse_bag("&".join(["p%d=1" % i for i in range(64)]))) == 64


def test_30000_mutants_parse_or_are_refused():
    """And whatever is parsed could be echoed without harm."""
    seeds = [
        b"$iothub/twin/res/204/?$rid=12&$version=34",
        b"$iothub/twin/PATCH/properties/desired/?$version=3",
        b"$iothub/methods/POST/thermostat1*getMaxMinReport/?$rid=2f",
        b"devices/stove-1/messages/devicebound/%24.mid=m%201&empty=&null",
    ]
    pieces = [b"%", b"%00", b"#", b"+", b"/", b"?", b"&", b"=", b"$rid=", b"\xff", b"%2F", b"1"]
    state = 12345
    parsed = 0
    for i in range(30_000):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        seed = seeds[i % 4]
        at = (state >> 8) % (len(seed) + 1)
        piece = pieces[(state >> 4) % len(pieces)]
        skip = state % 3
        try:
            arrival = parse(seed[:at] + piece + seed[at + skip :], DEVICE)
        except ProtocolError:
            continue
        parsed += 1
        assert len(arrival.request_id) <= 64
        for character in arrival.request_id:
            assert character.isalpha() or character.isdigit() or character == "-"
    # Both outcomes happen, else this test looks at nothing
    assert 1000 < parsed < 29_000, parsed


def test_builders():
    identity = parse_identity("HostName=h.net;DeviceId=d;SharedAccessKey=" + KEY)
    assert topics.user_name(identity, "", "") == b"h.net/d/?api-version=2021-04-12"
    assert topics.user_name(identity, "p/1 (x)", "dtmi:com:example:Thermostat;1") == (
        b"h.net/d/?api-version=2021-04-12&DeviceClientType=p%2F1%20%28x%29"
        b"&model-id=dtmi%3Acom%3Aexample%3AThermostat%3B1"
    )
    head = b"devices/d/messages/events/%24.ct=application%2Fjson&%24.ce=utf-8"
    assert topics.telemetry("d") == head
    assert topics.telemetry("d", "thermostat1") == head + b"&%24.sub=thermostat1"
    assert topics.created("2026-11-21T05:35:00Z") == (
        b"&iothub-creation-time-utc=2026-11-21T05%3A35%3A00Z"
    )
    assert topics.created("") == b""
    assert topics.filters("d")[0] == b"devices/d/messages/devicebound/#"
    assert topics.twin_get("7") == b"$iothub/twin/GET/?$rid=7"
    assert topics.reported_patch("8") == b"$iothub/twin/PATCH/properties/reported/?$rid=8"
    assert topics.method_answer(404, "2f") == b"$iothub/methods/res/404/?$rid=2f"
