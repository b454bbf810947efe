"""A device's certificate: from any usual form to DER, with the key that is really its own."""

import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from doubles.device_certificates import DAY, DER, NOW, PEM, certificate, new_key, private

from host_tools.credentials import CredentialError
from host_tools.device_certificate import load
from host_tools.simulated_device import interpreter

KEY = new_key()
READ_ON_MICROPYTHON = """
import ssl
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.load_cert_chain(open("c", "rb").read(), open("k", "rb").read())
print("read")
"""


@pytest.mark.parametrize("encoding", [PEM, DER])
@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_every_form_becomes_der_that_micropython_reads(tmp_path, encoding, kind):
    key = new_key(kind)
    found = load(certificate(key, "stove", encoding=encoding), private(key, encoding), NOW)
    assert found.name == "stove"
    assert x509.load_der_x509_certificate(found.certificate).public_key() == key.public_key()
    assert serialization.load_der_private_key(found.key, None).public_key() == key.public_key()
    (tmp_path / "c").write_bytes(found.certificate)
    (tmp_path / "k").write_bytes(found.key)
    command = [interpreter(), "-c", READ_ON_MICROPYTHON]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=20)
    assert (done.stdout, done.stderr) == ("read\n", "")


def test_of_a_chain_the_devices_own_is_taken():
    other = certificate(new_key(), "authority")
    assert load(other + certificate(KEY, "stove") + other, private(KEY), NOW).name == "stove"


def test_nothing_shows_the_key():
    found = load(certificate(KEY, "stove"), private(KEY), NOW)
    assert repr(found.key) not in repr(found)


@pytest.mark.parametrize(
    ("pem", "key", "reason"),
    [
        (certificate(KEY, "stove"), private(new_key()), "does not belong"),
        (certificate(KEY, "s", end=NOW - DAY / 2), private(KEY), "not today"),
        (certificate(KEY, "s", begin=NOW + DAY / 2), private(KEY), "not today"),
        (certificate(KEY), private(KEY), "no single common name"),
        (certificate(KEY, "a", "b"), private(KEY), "no single common name"),
        (b"rubbish", private(KEY), "certificate is neither PEM nor DER"),
        (private(KEY), private(KEY), "certificate is neither PEM nor DER"),
        (certificate(KEY, "s"), b"rubbish", "private key is neither PEM nor DER"),
        (certificate(KEY, "s"), certificate(KEY, "s"), "private key is neither PEM nor DER"),
        (certificate(KEY, "s"), private(KEY, password=b"x"), "is encrypted"),
        (certificate(KEY, "s"), private(ed25519.Ed25519PrivateKey.generate()), "neither RSA"),
    ],
)
def test_what_could_not_work_is_refused_with_what_to_do(pem, key, reason):
    with pytest.raises(CredentialError, match=reason) as caught:
        load(pem, key, NOW)
    assert "; " in str(caught.value)
