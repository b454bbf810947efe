import base64
import hashlib
import hmac

from expect import raises
from hypothesis import given
from hypothesis import strategies as st

from host_tools.hub.wire.sas import SasError, build_token, parse_token

KEY = b"0123456789abcdef0123456789abcdef"
HOSTS = {"hub.example.net", "localhost"}


def _token(sr, key=KEY, se="2000000000", extra="", sig=None):
    digest = hmac.new(key, ("%s\n%s" % (sr, se)).encode(), hashlib.sha256).digest()
    sig = sig or base64.b64encode(digest).decode()
    return "SharedAccessSignature sr=%s&sig=%s&se=%s%s" % (sr, sig, se, extra)


def test_a_tokens_repr_does_not_give_it_away():
    token = build_token("h/devices/d", b"key", 1700000000)
    signature = parse_token(token).signature
    assert repr(signature) not in repr(parse_token(token))


def test_a_token_equals_the_service_sdks_own():

    from azure.iot.hub import sastoken

    theirs = sastoken.SasToken("localhost:8443", base64.b64encode(KEY).decode(), "service")
    ours = build_token("localhost:8443", KEY, theirs.expiry_time, "service")
    # The SDK leaves '/' raw in the signature; what both mean is the same.
    parsed, expected = parse_token(ours), parse_token(str(theirs))
    assert parsed == expected
    assert expected.is_signed_by(KEY)


def test_a_token_equals_the_device_sdks_own():
    from azure.iot.device.common.auth import sastoken, signing_mechanism

    mechanism = signing_mechanism.SymmetricKeySigningMechanism(base64.b64encode(KEY))
    theirs = sastoken.RenewableSasToken("localhost/devices/d1", mechanism, ttl=60)
    token = parse_token(str(theirs))
    assert token.is_signed_by(KEY)
    assert str(theirs) == build_token("localhost/devices/d1", KEY, theirs.expiry_time)
    assert token.covers(HOSTS, "devices/d1")


def test_the_signature_is_over_the_resource_as_written():
    for sr in (
        "hub.example.net%2Fdevices%2Fd1",
        "hub.example.net%2fdevices%2fd1",
        "hub.example.net/devices/d1",
        "HUB.example.net:8883/devices/d1/",
    ):
        token = parse_token(_token(sr))
        assert token.is_signed_by(KEY)
        assert token.covers(HOSTS, "devices/d1")
        assert token.covers(HOSTS, "devices/d1/modules/m")


def test_fields_come_in_any_order_and_keys_differ():
    text = _token("localhost")
    scheme, _, fields = text.partition(" ")
    turned = scheme + " " + "&".join(reversed(fields.split("&")))
    assert parse_token(turned) == parse_token(text)
    assert not parse_token(text).is_signed_by(b"another key, as long as the one")


def test_prefixes_hold_by_whole_segments():
    token = parse_token(_token("localhost%2Fdevices%2Fd1"))
    assert not token.covers(HOSTS, "devices/d12")
    assert not token.covers(HOSTS, "devices")
    assert not token.covers(HOSTS, "")
    hub_wide = parse_token(_token("localhost"))
    assert hub_wide.covers(HOSTS, "")
    assert hub_wide.covers(HOSTS, "devices/d1")
    assert not hub_wide.covers({"other"}, "")
    # As clients of Event Hubs write it
    with_scheme = parse_token(build_token("sb://Hub/localhub", KEY, 1, "p"))
    assert with_scheme.covers({"hub"}, "localhub/consumergroups/x")
    assert not with_scheme.covers({"hub"}, "localhub2")
    assert not with_scheme.covers({"sb:"}, "localhub")
    assert (token.path, hub_wide.path, with_scheme.path) == ("devices/d1", "", "localhub")
    assert with_scheme.is_for_host({"hub"})
    assert not with_scheme.is_for_host({"localhub"})


def test_the_clock_may_be_off_by_five_minutes():
    token = parse_token(_token("localhost", se="1000"))
    assert not token.is_expired(999)
    assert not token.is_expired(1300)
    assert token.is_expired(1301)


def test_policy_names_are_decoded():
    assert parse_token(_token("localhost", extra="&skn=iot%20owner")).policy == "iot owner"
    assert parse_token(_token("localhost")).policy is None


def test_what_is_not_a_token_is_refused():
    for text, reason in (
        ("", "begin"),
        ("Bearer abc", "begin"),
        ("SharedAccessSignature", "name=value"),
        ("SharedAccessSignature sr=a&sig=YQ==", "no se"),
        ("SharedAccessSignature sr=&sig=YQ==&se=1", "no sr"),
        ("SharedAccessSignature sr=a&sr=b&sig=YQ==&se=1", "name=value"),
        ("SharedAccessSignature sr=a&sig=YQ==&se=-1", "seconds"),
        ("SharedAccessSignature sr=a&sig=YQ==&se=1e9", "seconds"),
        ("SharedAccessSignature sr=a&sig=YQ==&se=" + "9" * 13, "seconds"),
        ("SharedAccessSignature sr=a&sig=!&se=1", "base64"),
        ("SharedAccessSignature sr=a&sig=\u00e9&se=1", "base64"),
        ("SharedAccessSignature sr=%s&sig=YQ==&se=1" % ("a" * 5000), "too long"),
    ):
        with raises(SasError, reason):
            parse_token(text)


@given(st.text(max_size=200))
def test_any_text_is_a_token_or_a_sas_error(text):
    for candidate in (text, "SharedAccessSignature " + text, _token(text)):
        try:
            token = parse_token(candidate)
        except SasError:
            continue
        token.covers(HOSTS, text)
        token.is_signed_by(KEY)
        token.is_expired(0)


@given(
    st.text(min_size=1, max_size=40), st.binary(min_size=16, max_size=64), st.integers(0, 10**11)
)
def test_what_is_built_is_read(resource, key, expiry):
    token = parse_token(build_token(resource, key, expiry, "policy"))
    assert token.is_signed_by(key)
    assert token.expiry_s == expiry
