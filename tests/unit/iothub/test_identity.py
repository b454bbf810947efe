"""Connection strings: what they give, and what is said of those that give nothing."""

from doubles.keys import KEY
from expect import raises
from iothub.identity import IdentityError, parse

GOOD = "HostName=hub.azure-devices.net;DeviceId=stove-1;SharedAccessKey=" + KEY


def test_a_connection_string_gives_host_id_and_key():
    identity = parse(GOOD)
    assert identity.host == "hub.azure-devices.net"
    assert identity.device_id == "stove-1"
    assert identity.key == bytes(range(32))
    assert identity.dial_host == "hub.azure-devices.net"


def test_a_gateway_is_dialed_in_place_of_the_hub():
    identity = parse(GOOD + ";GatewayHostName=edge.local")
    assert identity.host == "hub.azure-devices.net"
    assert identity.dial_host == "edge.local"


def test_a_device_with_a_certificate_has_no_key():
    identity = parse("HostName=h;DeviceId=d;x509=true;GatewayHostName=edge.local")
    assert (identity.host, identity.device_id, identity.key) == ("h", "d", None)
    assert identity.dial_host == "edge.local"


def test_order_and_a_final_semicolon_do_not_matter():
    parts = GOOD.split(";")
    identity = parse("%s;%s;%s;\n" % (parts[2], parts[0], parts[1]))
    assert identity.device_id == "stove-1"
    assert identity.key == bytes(range(32))


def test_what_is_missing_or_malformed_is_named():
    cases = (
        ("", "no HostName"),
        ("HostName=h;SharedAccessKey=" + KEY, "no DeviceId"),
        ("HostName=h;DeviceId=d", "no SharedAccessKey"),
        ("HostName=h;DeviceId=;SharedAccessKey=" + KEY, "no DeviceId"),
        ("HostName=h/x;DeviceId=d;SharedAccessKey=" + KEY, "HostName has a character"),
        ("HostName=h:8883;DeviceId=d;SharedAccessKey=" + KEY, "HostName has a character"),
        ("HostName=h;DeviceId=a b;SharedAccessKey=" + KEY, "DeviceId has a character"),
        ("HostName=h;DeviceId=a/b;SharedAccessKey=" + KEY, "DeviceId has a character"),
        ("HostName=h;DeviceId=a#;SharedAccessKey=" + KEY, "DeviceId has a character"),
        ("HostName=h;DeviceId=%s;SharedAccessKey=%s" % ("d" * 129, KEY), "longer than 128"),
        ("HostName=h;HostName=h;DeviceId=d;SharedAccessKey=" + KEY, "HostName is given twice"),
        (GOOD[:-1], "not base64"),
        (GOOD[:-2], "not base64"),
        (GOOD[:-6] + "!AAA==", "not base64"),
        ("HostName=h;DeviceId=d;SharedAccessKey=AAAA", "has 3 bytes"),
        ("HostName=h;SharedAccessKeyName=iothubowner;SharedAccessKey=" + KEY, "a service's"),
        (GOOD + ";GatewayHostName=", "no GatewayHostName"),
        (GOOD + ";x509=true", "exclude each other"),
        ("HostName=h;DeviceId=d;x509=false", "no SharedAccessKey"),
        ("HostName=h;x509=true", "no DeviceId"),
        ("what is this", "not name=value"),
    )
    for text, reason in cases:
        with raises(IdentityError, reason):
            parse(text)


def test_the_key_is_in_no_text():
    identity = parse(GOOD)
    for text in (repr(identity), str(identity), "%s %r" % (identity, [identity])):
        assert "AAEC" not in text
        assert "\\x01\\x02" not in text
    # Broken in ways that make the key the odd part
    for text in (KEY, GOOD.replace("SharedAccessKey=", ""), GOOD[:-3] + "?=="):
        with raises(IdentityError) as caught:
            parse(text)
        assert "AAEC" not in str(caught.error)
        assert "AAEC" not in repr(caught.error)
