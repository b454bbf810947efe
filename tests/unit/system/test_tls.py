"""The context that cannot be made lenient. That there is no other way to one, is read from the
sources in `tests/unit/host_tools/test_verified_tls.py`."""

import ssl
from binascii import a2b_base64

from expect import raises
from system import tls
from system.tls import make_context

# A self-signed root, whose key is thrown away; valid until 2049
ROOT = a2b_base64(
    "MIIBQDCB5qADAgECAgEBMAoGCCqGSM49BAMCMB8xHTAbBgNVBAMMFFJvb3QgZm9yIGEgdW5pdCB0ZXN0MB4XDTI1"
    "MDEwMTAwMDAwMFoXDTQ5MDEwMTAwMDAwMFowHzEdMBsGA1UEAwwUUm9vdCBmb3IgYSB1bml0IHRlc3QwWTATBgcq"
    "hkjOPQIBBggqhkjOPQMBBwNCAARmPbu+BGSov6Y1NtnNRyDlDa88mgoB6RfuQ5sfIlGP9WiRIofIuxM+l1QjGjjd"
    "rHyby8pgDSOmXy9jshIHiIESoxMwETAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQDtlVtAiw4M"
    "U2pAJJaurm0hbchhn/tQh8IyXL4TGHw40QIhAO3WsgbQsZ0e6Goq71VAp3ccCwtBl+K8gMQHgth/PMs4"
)


def test_no_root_no_context():
    for roots in ([], (), None):
        with raises(ValueError, "no root certificates"):
            make_context(roots)


def test_a_root_that_is_none_is_refused():
    # CPython's error is an OSError by its base; MicroPython's is a ValueError
    for root in (b"", b"not a certificate", b"\x30\x82\x01\x00" + bytes(20)):
        try:
            make_context([root])
        except (ValueError, OSError):
            continue
        raise AssertionError("it was taken: %r" % root)


def test_a_context_requires_certificates():
    context = make_context([ROOT, ROOT])
    assert context.verify_mode == ssl.CERT_REQUIRED


def test_a_device_certificate_goes_with_its_key_and_verifying_stays():
    """Played: CPython wants the names of files where MicroPython wants what is in them."""
    made = []

    class Context:
        def __init__(self, protocol):
            self.protocol = protocol
            self.roots = []
            self.own = None
            made.append(self)

        def load_verify_locations(self, cadata):
            self.roots.append(cadata)

        def load_cert_chain(self, certificate, key):
            self.own = (certificate, key)

    class Played:
        SSLContext = Context
        PROTOCOL_TLS_CLIENT = ssl.PROTOCOL_TLS_CLIENT
        CERT_REQUIRED = ssl.CERT_REQUIRED

    tls.ssl = Played
    try:
        assert make_context([ROOT], b"certificate", b"key") is made[0]
        assert make_context([ROOT]) is made[1]
    finally:
        tls.ssl = ssl
    assert [context.own for context in made] == [(b"certificate", b"key"), None]
    for context in made:
        assert context.protocol == ssl.PROTOCOL_TLS_CLIENT
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.roots == [ROOT]
