"""Making the two certificates of a local hub: its authority's and its server's.

Keys are RSA-2048, as the certificates of Azure's hubs are: a board then does the same arithmetic
here as there.

Source: RFC 5280 section 4.2 (extensions), RFC 6125 section 6.4 (names).
"""

from __future__ import annotations

import datetime
import ipaddress
import os
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_KEY_BITS = 2048
_AUTHORITY_LIFE = datetime.timedelta(days=3650)
_SERVER_LIFE = datetime.timedelta(days=397)
"""The longest that browsers accept."""
_BACKDATED = datetime.timedelta(days=1)
"""A board's clock may be behind ours when it checks the dates."""


@dataclass(frozen=True)
class Identity:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey = field(repr=False)

    def to_pem(self) -> bytes:
        """Both in PEM, the key not encrypted: what `load_cert_chain` reads."""
        key = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return self.certificate.public_bytes(serialization.Encoding.PEM) + key


def names_of(certificate: x509.Certificate) -> frozenset[str]:
    """Return the host names and addresses that a server certificate is for."""
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = found.get_values_for_type(x509.IPAddress)
    return frozenset([*found.get_values_for_type(x509.DNSName), *map(str, addresses)])


def make_authority(now: datetime.datetime, above: Identity | None = None) -> Identity:
    """Return a fresh authority that may sign servers, and no further authorities. It vouches for
    itself, or another does: `above`."""
    key = rsa.generate_private_key(65537, _KEY_BITS)
    # A name of its own: clients that trust several authorities find the right one by it.
    name = _subject(f"Local IoT hub authority {os.urandom(4).hex()}")
    issuer, signer = (name, key) if above is None else (above.certificate.subject, above.key)
    builder = _builder(name, issuer, key.public_key(), signer.public_key(), now, _AUTHORITY_LIFE)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    return Identity(builder.sign(signer, hashes.SHA256()), key)


def make_server(
    authority: Identity,
    names: frozenset[str],
    now: datetime.datetime,
    key: rsa.RSAPrivateKey | None = None,
) -> Identity:
    """Return a server certificate for `names`, host names and IP addresses alike; with a key of
    its own unless one is given."""
    key = key or rsa.generate_private_key(65537, _KEY_BITS)
    issuer = authority.certificate.subject
    builder = _builder(
        _subject("Local IoT hub"),
        issuer,
        key.public_key(),
        authority.key.public_key(),
        now,
        _SERVER_LIFE,
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    server_auth = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    builder = builder.add_extension(server_auth, critical=False)
    alternative = x509.SubjectAlternativeName([_general_name(name) for name in sorted(names)])
    builder = builder.add_extension(alternative, critical=False)
    return Identity(builder.sign(authority.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    subject_key: rsa.RSAPublicKey,
    issuer_key: rsa.RSAPublicKey,
    now: datetime.datetime,
    life: datetime.timedelta,
) -> x509.CertificateBuilder:
    """The fields that every certificate has; OpenSSL's strict mode asks for both key ids."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(subject_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(subject_key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False
        )
    )


def _subject(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=not signs_certificates,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
