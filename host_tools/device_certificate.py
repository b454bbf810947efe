"""A device's X.509 certificate and key, from PEM or DER to what a board reads: DER.

Before MicroPython 1.29 only the ESP32 reads PEM.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from host_tools.credentials import CredentialError

# What a board's TLS can sign with, and a handshake can wait for
_MOST_RSA_BITS = 4096


@dataclass(frozen=True)
class DeviceCertificate:
    """Both in DER, the key as PKCS#1 or SEC 1. `name` is the subject's common name, which Azure
    compares with the device id, or with the registration id."""

    name: str
    certificate: bytes
    key: bytes = field(repr=False)


def load(certificate: bytes, key: bytes, now: datetime.datetime) -> DeviceCertificate:
    """Raises CredentialError unless the key is the certificate's and the certificate holds."""
    private = _key(key)
    found = _certificate(certificate, private)
    if not found.not_valid_before_utc <= now <= found.not_valid_after_utc:
        raise CredentialError(
            f"the certificate holds from {found.not_valid_before_utc:%Y-%m-%d} to "
            f"{found.not_valid_after_utc:%Y-%m-%d}, not today; have a new one made"
        )
    names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(names) != 1:
        raise CredentialError(
            "the certificate's subject has no single common name, which has to be the device id; "
            "have another one made"
        )
    return DeviceCertificate(
        str(names[0].value),
        found.public_bytes(serialization.Encoding.DER),
        private.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        ),
    )


def _key(data: bytes) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    load_key = (
        serialization.load_pem_private_key
        if b"-----BEGIN" in data
        else serialization.load_der_private_key
    )
    try:
        found = load_key(data, None)
    except TypeError:
        raise CredentialError(
            "the private key is encrypted, and a board has nobody to ask; "
            "decrypt it (openssl pkey -in KEY -out NEW) into a file of mode 0600"
        ) from None
    except ValueError:
        raise CredentialError(
            "the private key is neither PEM nor DER; name the file with the key"
        ) from None
    if isinstance(found, rsa.RSAPrivateKey) and found.key_size <= _MOST_RSA_BITS:
        return found
    if isinstance(found, ec.EllipticCurvePrivateKey):
        return found
    raise CredentialError(
        f"the private key is neither RSA of up to {_MOST_RSA_BITS} bits nor of an elliptic curve, "
        "which is what boards can sign with; have another one made"
    )


def _certificate(
    data: bytes, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    """The one of the file that belongs to the key: a chain's other ones are not the device's."""
    try:
        if b"-----BEGIN" in data:
            found = x509.load_pem_x509_certificates(data)
        else:
            found = [x509.load_der_x509_certificate(data)]
    except ValueError:
        raise CredentialError(
            "the certificate is neither PEM nor DER; name the file with the certificate"
        ) from None
    for each in found:
        if each.public_key() == key.public_key():
            return each
    raise CredentialError(
        "the private key does not belong to the certificate; name the two that were made together"
    )
