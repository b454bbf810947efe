"""Percent-encoding, both ways."""

from expect import raises
from iothub.errors import ProtocolError
from iothub.percent import decode, encode


def test_only_the_unreserved_stay_themselves():
    kept = "ABCXYZabcxyz0189-._~"
    assert encode(kept) == kept.encode()
    assert encode("a b+c/d:e;f$g%") == b"a%20b%2Bc%2Fd%3Ae%3Bf%24g%25"
    assert encode("21 °C") == b"21%20%C2%B0C"


def test_decoding_is_the_inverse():
    for text in ("", "plain", "a b+c/d%", "21 °C", "€\x7f\0"):
        assert decode(encode(text).decode()) == text


def test_plus_is_plus_and_hex_has_either_case():
    assert decode("a+b%2f%2F%24.mid") == "a+b//$.mid"


def test_bad_escapes_are_refused():
    for text in ("%", "%4", "%G0", "%0G", "a%%20", "%C3", "%FF%FF", "%ED%A0%80%", "%+1"):
        with raises(ProtocolError):
            decode(text)
