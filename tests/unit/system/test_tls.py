"""The context that cannot be made lenient. That there is no other way to one, is read from the
sources in `tests/unit/host_tools/test_verified_tls.py`."""

import ssl
from binascii import a2b_base64

from expect import raises
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
