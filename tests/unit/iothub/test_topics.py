"""The grammar of the hub's topics; whatever is not in it is a ProtocolError."""

from expect import raises
from iothub.errors import ProtocolError
from iothub.topics import decode, encode, heads, parse, parse_bag

TWIN_ANSWER, DESIRED, METHOD, MESSAGE = range(4)
HEADS = heads("stove-1")


def test_what_is_subscribed_is_what_is_understood():
    found = heads("kiln-2")
    assert found == (
        "$iothub/twin/res/",
        "$iothub/twin/PATCH/properties/desired/",
        "$iothub/methods/POST/",
        "devices/kiln-2/messages/devicebound/",
    )
    assert parse(b"devices/kiln-2/messages/devicebound/", found) == (MESSAGE, {}, None)


def test_twin_answers():
    assert parse(b"$iothub/twin/res/200/?$rid=7", HEADS) == (TWIN_ANSWER, 200, "7")
    for topic in (
        b"$iothub/twin/res/204/?$rid=a-B9&$version=12",
        b"$iothub/twin/res/204/?$version=12&$rid=a-B9",
        b"$iothub/twin/res/204/?%24version=12&%24rid=a-B9&more=1",
    ):
        assert parse(topic, HEADS) == (TWIN_ANSWER, 204, "a-B9")


def test_desired_patches():
    topic = b"$iothub/twin/PATCH/properties/desired/?$version=3"
    assert parse(topic, HEADS) == (DESIRED, None, None)


def test_commands():
    topic = b"$iothub/methods/POST/thermostat1*getMaxMinReport/?$rid=2f"
    assert parse(topic, HEADS) == (METHOD, "thermostat1*getMaxMinReport", "2f")
    assert parse(b"$iothub/methods/POST/a%2Ab/?$rid=1", HEADS) == (METHOD, "a*b", "1")
    topic = b"$iothub/methods/POST/a/?$rid=1&text=what?$rid=2"
    assert parse(topic, HEADS) == (METHOD, "a", "1")
    topic = b"$iothub/methods/POST/a/?$rid="
    assert parse(topic + b"1" * 64, HEADS) == (METHOD, "a", "1" * 64)
    with raises(ProtocolError, "unusable $rid"):
        parse(topic + b"1" * 65, HEADS)


def test_messages_with_their_properties():
    bag = (
        b"%24.mid=m%201&$.to=%2Fdevices%2Fstove-1%2Fmessages%2Fdevicebound"
        b"&%24.ce=utf-8&iothub-ack=none&empty=&null&plus=a+b&eq=a=b&text=%C2%B0"
    )
    kind, properties, _ = parse(b"devices/stove-1/messages/devicebound/" + bag, HEADS)
    assert kind == MESSAGE
    assert properties == {
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
    assert parse(b"devices/stove-1/messages/devicebound/", HEADS) == (MESSAGE, {}, None)


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
        b"$iothub/twin/res/2x0/?$rid=1",
        b"$iothub/twin/res/200/$rid=1",
        b"$iothub/twin/res/200/x/?$rid=1",
        b"$iothub/twin/res/200/?$rid=1&$rid=2",
        b"$iothub/twin/PATCH/properties/reported/?$rid=1",
        b"$iothub/methods/POST/a/?$rid=1/2",
        b"$iothub/methods/POST/a/?$rid=1%202",
        b"$iothub/methods/POST/a/?$rid=%23",
        b"$iothub/methods/POST/a%0/?$rid=1",
        b"$iothub/methods/res/200/?$rid=1",
        b"$IOTHUB/methods/POST/a/?$rid=1",
        b"devices/stove-2/messages/devicebound/",
        b"devices/stove-1/messages/events/",
        b"devices/stove-1/messages/devicebound",
        b"devices/stove-1/messages/devicebound/a=1&&b=2",
        b"devices/stove-1/messages/devicebound/a=1&a=2",
        b"devices/stove-1/messages/devicebound/=1",
        b"devices/stove-1/messages/devicebound/a=%zz",
        b"devices/stove-1/messages/devicebound/\xff\xfe",
        b"\xc3\x28",
        b"/" * 65535,
        b"&".join([b"%d" % i for i in range(65)]),
    ):
        with raises(ProtocolError):
            parse(topic, HEADS)
    with raises(ProtocolError, "unknown topic"):
        parse(b"$iothub/twin/GET/?$rid=1", HEADS)
    with raises(ProtocolError, "too many"):
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
            kind, _, request_id = parse(seed[:at] + piece + seed[at + skip :], HEADS)
        except ProtocolError:
            continue
        parsed += 1
        if kind in (TWIN_ANSWER, METHOD):
            assert 0 < len(request_id) <= 64
            for character in request_id:
                assert character.isalpha() or character.isdigit() or character == "-"
    # Both outcomes happen, else this test looks at nothing
    assert 1000 < parsed < 29_000, parsed


def test_only_the_unreserved_stay_themselves():
    kept = "ABCXYZabcxyz0189-._~"
    assert encode(kept) == kept.encode()
    assert encode("a b+c/d:e;f$g%") == b"a%20b%2Bc%2Fd%3Ae%3Bf%24g%25"
    assert encode("21 °C") == encode("21 °C".encode()) == b"21%20%C2%B0C"


def test_encoding_goes_on_behind_what_is_there():
    topic = bytearray(b"a=")
    assert encode("b c", topic) is topic
    assert topic == b"a=b%20c"


def test_decoding_is_the_inverse():
    for text in ("", "plain", "a b+c/d%", "21 °C", "€\x7f\0"):
        assert decode(encode(text).decode()) == text


def test_plus_is_plus_and_hex_has_either_case():
    assert decode("a+b%2f%2F%24.mid") == "a+b//$.mid"


def test_bad_escapes_are_refused():
    for text in ("%", "%4", "%G0", "%0G", "a%%20", "%C3", "%FF%FF", "%ED%A0%80%", "%+1"):
        with raises(ProtocolError, "percent-encoding"):
            decode(text)
