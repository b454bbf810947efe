"""Tokens, and the HMAC beneath them."""

from binascii import hexlify, unhexlify

from doubles.keys import KEY
from iothub.identity import parse
from iothub.sas import build_token, hmac_sha256

IDENTITY = parse("HostName=hub.azure-devices.net;DeviceId=stove-1;SharedAccessKey=" + KEY)

# RFC 4231 §4.2-4.8 (case 5 is a truncated MAC): key, data, HMAC-SHA-256
VECTORS = (
    (
        b"\x0b" * 20,
        b"Hi There",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    ),
    (
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (
        b"\xaa" * 20,
        b"\xdd" * 50,
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    ),
    (
        bytes(range(1, 26)),
        b"\xcd" * 50,
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    ),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        b"\xaa" * 131,
        b"This is a test using a larger than block-size key and a larger than block-size data. "
        b"The key needs to be hashed before being used by the HMAC algorithm.",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
)


def test_hmac_passes_the_vectors_of_rfc_4231():
    for key, data, expected in VECTORS:
        assert hmac_sha256(key, data) == unhexlify(expected)
    # A key as long as a block is used as it is
    assert hmac_sha256(bytes(range(64)), b"one block", b" of key") == unhexlify(
        "7af2b6e161f891aa99691bb3deb2ce0b30d600ae91f877455fcf9031acd2cafb"
    )
    truncated = hmac_sha256(b"\x0c" * 20, b"Test With Truncation")[:16]
    assert hexlify(truncated) == b"a3b6167473100ee06e0c796c2955552b"


def test_a_token_has_the_documented_form():
    token = build_token(IDENTITY, 1795239300).decode()
    head, sig, se = token.split("&")
    assert head == "SharedAccessSignature sr=hub.azure-devices.net%2Fdevices%2Fstove-1"
    assert sig.startswith("sig=")
    assert sig.endswith("%3D")
    for character in "+/=\n":
        assert character not in sig[4:]
    assert se == "se=1795239300"


def test_a_token_is_signed_over_resource_and_expiry():
    # By CPython's hmac, hashlib and urllib, of the same key, resource and expiry
    assert build_token(IDENTITY, 1795239300) == (
        b"SharedAccessSignature sr=hub.azure-devices.net%2Fdevices%2Fstove-1"
        b"&sig=OBrOhGzUS2HBCCok%2BTdioFgSnjyWN6mP7oCcO%2F6MGBg%3D&se=1795239300"
    )
