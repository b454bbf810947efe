"""Authorities whose certificates devices may come with, each after proof that its key is there.

As with Azure: the certificate of an authority is uploaded and gets a code; whoever has its key
signs a certificate with that code as common name; with that the authority is verified. Devices
of type `certificateAuthority` then come with any certificate that a verified authority, or one
below it that they show, has signed for their own id. Here certificates must be signed by the
authority itself.

Source: Azure IoT Hub, "Authenticate devices with X.509 CA certificates".
"""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from host_tools.hub.state.documents import Json, JsonObject
from host_tools.hub.state.errors import HubError, argument_invalid
from host_tools.hub.state.store import Change, Store

MAX_AUTHORITIES = 100
_KIND = "device-authority"
_CODE_BYTES = 24
_LONGEST_NAME = 256


@dataclass(frozen=True)
class Authority:
    """`code` is what the next proof has to be made of."""

    name: str
    certificate: x509.Certificate
    code: str
    is_verified: bool = False

    def document(self) -> JsonObject:
        """As a client sees it."""
        subject = self.certificate.subject.rfc4514_string()
        return {
            "name": self.name,
            "subject": subject,
            "thumbprint": self.certificate.fingerprint(hashes.SHA1()).hex().upper(),
            "expiry": self.certificate.not_valid_after_utc.isoformat(),
            "isVerified": self.is_verified,
            "verificationCode": None if self.is_verified else self.code,
        }


class DeviceAuthorities:
    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._found = {name: _from_document(name, body) for name, body in store.load(_KIND)}

    def add(self, name: str, certificate: bytes) -> Authority:
        """Not verified yet. `certificate`: PEM or DER. Raises HubError 400004, 409001."""
        if not 0 < len(name) <= _LONGEST_NAME:
            raise argument_invalid("An authority has a name of up to 256 characters.")
        if name in self._found:
            raise HubError(409001, "CertificateAlreadyExists", 409, "The name is taken.")
        if len(self._found) >= MAX_AUTHORITIES:
            raise argument_invalid(f"A hub has {MAX_AUTHORITIES} authorities at most.")
        found = parse_certificate(certificate)
        if not _may_sign(found):
            raise argument_invalid("The certificate is not of an authority: it may not sign.")
        return self._keep(Authority(name, found, secrets.token_hex(_CODE_BYTES)))

    def verify(self, name: str, proof: bytes) -> Authority:
        """`proof`: a certificate, PEM or DER, that the authority has signed for its code.
        Raises HubError 404, 400004."""
        authority = self.get(name)
        found = parse_certificate(proof)
        if common_name(found) != authority.code:
            raise argument_invalid("The proof's common name is not the verification code.")
        if not has_signed_directly(authority.certificate, found):
            raise argument_invalid("The proof is not signed by the authority's key.")
        return self._keep(replace(authority, is_verified=True))

    def get(self, name: str) -> Authority:
        """Raises HubError 404."""
        if name not in self._found:
            raise HubError(404000, "CertificateNotFound", 404, "No authority has that name.")
        return self._found[name]

    def list(self) -> list[Authority]:
        return [self._found[name] for name in sorted(self._found)]

    def delete(self, name: str) -> None:
        """Raises HubError 404."""
        self.get(name)
        self._store.write([Change(_KIND, name, None)])
        del self._found[name]

    def has_signed(self, certificate: x509.Certificate) -> bool:
        """Whether a verified authority stands behind `certificate`, and both hold now."""
        return any(
            each.is_verified
            and self._holds(each.certificate)
            and has_signed_directly(each.certificate, certificate)
            for each in self._found.values()
        ) and self._holds(certificate)

    def _holds(self, certificate: x509.Certificate) -> bool:
        now = datetime.datetime.fromtimestamp(self._clock(), datetime.timezone.utc)
        return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc

    def _keep(self, authority: Authority) -> Authority:
        self._store.write([Change(_KIND, authority.name, _to_document(authority))])
        self._found[authority.name] = authority
        return authority


def parse_certificate(data: bytes) -> x509.Certificate:
    """PEM or DER. Raises HubError 400004."""
    try:
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificate(data)
        return x509.load_der_x509_certificate(data)
    except ValueError:
        raise argument_invalid("This is no X.509 certificate, in PEM or DER.") from None


def common_name(certificate: x509.Certificate) -> str:
    """The one of its subject, "" if there is none or a choice."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else ""


def thumbprints(certificate: x509.Certificate) -> set[str]:
    """SHA-1 and SHA-256, in upper-case hexadecimal digits."""
    return {
        certificate.fingerprint(each).hex().upper() for each in (hashes.SHA1(), hashes.SHA256())
    }


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        found = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return found.value.ca


def has_signed_directly(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether it is signed by the key of `authority`, and named as its issuer."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _to_document(authority: Authority) -> JsonObject:
    pem = authority.certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")
    return {"certificate": pem, "code": authority.code, "is_verified": authority.is_verified}


def _from_document(name: str, document: Json) -> Authority:
    assert isinstance(document, dict)
    certificate = parse_certificate(str(document["certificate"]).encode())
    return Authority(name, certificate, str(document["code"]), bool(document["is_verified"]))
