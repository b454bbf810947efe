"""The context that cannot be made lenient, and no other way to one."""

import os
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


def _sources(folder):
    for entry in os.listdir(folder):
        path = folder + "/" + entry
        if entry.endswith(".py"):
            yield path
        elif "." not in entry and entry != "__pycache__":
            yield from _sources(path)


def _firmware():
    here = __file__.rsplit("/tests/", 1)[0]
    return here + "/firmware"


def test_tls_is_made_in_one_place_and_verified():
    """In the whole firmware."""
    found = 0
    for path in _sources(_firmware()):
        with open(path) as file:
            text = file.read()
        if path.endswith("/system/tls.py"):
            found += 1
            assert "verify_mode = ssl.CERT_REQUIRED" in text
            assert text.count("SSLContext(") == 1
        else:
            assert "SSLContext" not in text, path
        for forbidden in ("CERT_" + "NONE", "CERT_" + "OPTIONAL", "ssl.wrap_" + "socket"):
            assert forbidden not in text, path
        if path.endswith("/system/dialer.py"):
            found += 1
            assert "server_hostname=self._peer[0]" in text
            assert text.count("wrap_socket(") == 1
        else:
            assert "wrap_socket(" not in text, path
    assert found == 2


def test_a_context_requires_certificates():
    context = make_context([ROOT, ROOT])
    assert context.verify_mode == ssl.CERT_REQUIRED
