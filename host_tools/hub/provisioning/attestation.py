"""How a device proves to an enrolment who it is: by a key, or by a certificate.

Source: Azure IoT Hub Device Provisioning Service, "Attestation mechanisms"; "Symmetric key
attestation" (derived keys of a group).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from host_tools.hub.state.device_authorities import (
    has_signed_directly,
    parse_certificate,
    thumbprints,
)
from host_tools.hub.state.documents import Json, JsonObject
from host_tools.hub.state.errors import argument_invalid
from host_tools.hub.wire.sas import SasToken

_MIN_KEY_BYTES, _MAX_KEY_BYTES = 16, 64
_FRESH_KEY_BYTES = 64


@dataclass(frozen=True)
class Attestation:
    """`kind` is symmetricKey or x509. Keys are base64 text; `certificates` are PEM texts, of the
    device itself, or of those that sign for a group."""

    kind: str
    keys: tuple[str, ...] = field(default=(), repr=False)
    certificates: tuple[str, ...] = ()

    def is_token_of(self, token: SasToken, registration_id: str, is_group: bool) -> bool:
        """Whether the token is signed by a key of this, for a group by one derived from it."""
        if self.kind != "symmetricKey":
            return False
        keys = [base64.b64decode(key) for key in self.keys]
        if is_group:
            keys = [derived_key(key, registration_id) for key in keys]
        return any(token.is_signed_by(key) for key in keys)

    def is_certificate_of(self, certificate: x509.Certificate, is_group: bool) -> bool:
        """Whether it is one of these certificates, for a group one that they have signed."""
        if self.kind != "x509":
            return False
        known = [parse_certificate(text.encode()) for text in self.certificates]
        if is_group:
            return any(has_signed_directly(each, certificate) for each in known)
        return any(thumbprints(each) == thumbprints(certificate) for each in known)

    def device_keys(self, registration_id: str, is_group: bool) -> tuple[str, ...]:
        """The keys that the device gets on its hub, as base64; () with certificates."""
        if not is_group:
            return self.keys
        derived = (derived_key(base64.b64decode(key), registration_id) for key in self.keys)
        return tuple(base64.b64encode(key).decode("ascii") for key in derived)

    def document(self, with_secrets: bool = False) -> JsonObject:
        """As the service API has it."""
        if self.kind == "symmetricKey":
            names = ("primaryKey", "secondaryKey")
            keys = self.keys if with_secrets else ("", "")
            shown: JsonObject = dict(zip(names, keys, strict=True))
            return {"type": self.kind, "symmetricKey": shown if with_secrets else {}}
        places = dict(zip(("primary", "secondary"), self.certificates, strict=False))
        shown = {name: {"info": _info(text)} for name, text in places.items()}
        return {"type": self.kind, "x509": {"certificates": shown}}


def parse_attestation(document: Json, is_group: bool) -> Attestation:
    """From the service API's form. Keys that are missing are made. Raises: HubError 400004."""
    if not isinstance(document, dict):
        raise argument_invalid("The enrolment has no attestation.")
    kind = document.get("type")
    if kind == "symmetricKey":
        keys = _object(document.get("symmetricKey"))
        return Attestation(
            "symmetricKey", tuple(_key(keys.get(name)) for name in ("primaryKey", "secondaryKey"))
        )
    if kind != "x509":
        raise argument_invalid("attestation.type is neither symmetricKey nor x509.")
    shown = _object(document.get("x509"))
    place = "signingCertificates" if is_group else "clientCertificates"
    found = _object(shown.get(place))
    certificates = [found[name] for name in ("primary", "secondary") if found.get(name)]
    if not certificates:
        raise argument_invalid(f"attestation.x509.{place} has no certificate.")
    return Attestation("x509", certificates=tuple(map(_certificate, certificates)))


def derived_key(group_key: bytes, registration_id: str) -> bytes:
    return hmac.new(group_key, registration_id.encode("utf-8"), hashlib.sha256).digest()


def stored(attestation: Attestation) -> JsonObject:
    return {
        "kind": attestation.kind,
        "keys": [*attestation.keys],
        "certificates": [*attestation.certificates],
    }


def from_stored(document: Json) -> Attestation:
    assert isinstance(document, dict)
    keys, certificates = document["keys"], document["certificates"]
    assert isinstance(keys, list)
    assert isinstance(certificates, list)
    return Attestation(str(document["kind"]), tuple(map(str, keys)), tuple(map(str, certificates)))


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _key(value: Json) -> str:
    if value is None or value == "":
        return base64.b64encode(secrets.token_bytes(_FRESH_KEY_BYTES)).decode("ascii")
    try:
        if not isinstance(value, str):
            raise ValueError
        if not _MIN_KEY_BYTES <= len(base64.b64decode(value, validate=True)) <= _MAX_KEY_BYTES:
            raise ValueError
    except (binascii.Error, ValueError):
        raise argument_invalid("A key of an enrolment is base64 of 16 to 64 bytes.") from None
    return value


def _certificate(value: Json) -> str:
    """PEM of `{"certificate": PEM, or base64 of DER}`."""
    text = _object(value).get("certificate")
    if not isinstance(text, str):
        raise argument_invalid("A certificate of an attestation has no text.")
    data = text.encode()
    if b"-----BEGIN" not in data:
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise argument_invalid("A certificate is neither PEM nor base64.") from None
    found = parse_certificate(data)
    return found.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _info(pem: str) -> JsonObject:
    found = parse_certificate(pem.encode())
    sha1, sha256 = sorted(thumbprints(found), key=len)
    return {
        "subjectName": found.subject.rfc4514_string(),
        "issuerName": found.issuer.rfc4514_string(),
        "sha1Thumbprint": sha1,
        "sha256Thumbprint": sha256,
        "notBeforeUtc": found.not_valid_before_utc.isoformat(),
        "notAfterUtc": found.not_valid_after_utc.isoformat(),
        "serialNumber": f"{found.serial_number:X}",
        "version": 3,
    }
