"""The identity of a device or a module: what may stand in one, how an update changes it, how it
is stored.

All of the hub's state knows an identity by its *key*: a device's id, or `device/module`, as MQTT
clients are called. No id holds a slash.
Source: Azure IoT Hub developer guide, "Understand the identity registry"; REST "Device" model.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from dataclasses import dataclass, field

from host_tools.hub.state.documents import Json, JsonObject
from host_tools.hub.state.errors import argument_invalid

_DEVICE_ID = re.compile(r"[A-Za-z0-9\-:.+%_#*?!(),=@;$']{1,128}")
_THUMBPRINT = re.compile(r"[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64}")
_MIN_KEY_BYTES, _MAX_KEY_BYTES = 16, 64
_MAX_REASON_CHARS = 128
_AUTHENTICATION_TYPES = ("sas", "selfSigned", "certificateAuthority", "none")


@dataclass(frozen=True)
class Identity:
    """A device or a module as stored. Keys are base64 text, "" where it has none; `module_id` is
    "" for a device, `managed_by` what a client wrote of a module."""

    device_id: str
    generation_id: str
    etag: str
    status: str
    status_reason: str | None
    status_updated_s: float | None
    authentication_type: str
    primary_key: str = field(repr=False)
    secondary_key: str = field(repr=False)
    primary_thumbprint: str | None
    secondary_thumbprint: str | None
    iot_edge: bool
    device_scope: str | None
    parent_scopes: tuple[str, ...]
    module_id: str = ""
    managed_by: str | None = None

    @property
    def key(self) -> str:
        return identity_key(self.device_id, self.module_id)


def identity_key(device_id: str, module_id: str = "") -> str:
    return f"{device_id}/{module_id}" if module_id else device_id


def split_key(key: str) -> tuple[str, str]:
    """Device id, and module id or ""."""
    device_id, _, module_id = key.partition("/")
    return device_id, module_id


def parse_device_id(value: Json) -> str:
    """Raises: HubError 400004 for what cannot be a device id."""
    if not isinstance(value, str) or not _DEVICE_ID.fullmatch(value):
        raise argument_invalid(
            "A device id, or a module's, has 1 to 128 of the ASCII letters, digits and - : . + "
            "% _ # * ? ! ( ) , = @ ; $ '."
        )
    return value


def parse_module_id(value: Json) -> str:
    """A module id, or "" where there is none. Raises: HubError 400004."""
    return "" if value is None or value == "" else parse_device_id(value)


def blank(device_id: str, generation_id: str, module_id: str = "") -> Identity:
    """What a client's first document is merged into."""
    return Identity(
        device_id=device_id,
        generation_id=generation_id,
        etag="",
        status="enabled",
        status_reason=None,
        status_updated_s=None,
        authentication_type="sas",
        primary_key="",
        secondary_key="",
        primary_thumbprint=None,
        secondary_thumbprint=None,
        iot_edge=False,
        device_scope=None,
        parent_scopes=(),
        module_id=module_id,
    )


def merge(former: Identity, document: JsonObject, now: float) -> Identity:
    """`former` as changed by a client's document, with a new etag and the keys it lacked.
    Raises: HubError 400004."""
    authentication = _object(document.get("authentication"), "authentication")
    kind = authentication.get("type") or former.authentication_type
    if kind not in _AUTHENTICATION_TYPES:
        raise argument_invalid(
            "authentication.type is not one of {}.".format(", ".join(_AUTHENTICATION_TYPES))
        )
    keys = _object(authentication.get("symmetricKey"), "symmetricKey")
    prints = _object(authentication.get("x509Thumbprint"), "x509Thumbprint")
    capabilities = _object(document.get("capabilities"), "capabilities")
    edge = capabilities.get("iotEdge")
    if edge is not None and not isinstance(edge, bool):
        raise argument_invalid("capabilities.iotEdge is not true or false.")
    status = _parse_status(document.get("status"), former.status)
    has_keys = kind == "sas"
    has_prints = kind == "selfSigned"
    primary_print = _parse_thumbprint(prints.get("primaryThumbprint"))
    secondary_print = _parse_thumbprint(prints.get("secondaryThumbprint"))
    if has_prints and not (
        primary_print
        or secondary_print
        or former.primary_thumbprint
        or former.secondary_thumbprint
    ):
        raise argument_invalid("A selfSigned device needs a thumbprint.")
    return Identity(
        device_id=former.device_id,
        generation_id=former.generation_id,
        etag=_fresh_etag(former.etag),
        status=status,
        status_reason=_parse_reason(document.get("statusReason"), former.status_reason),
        status_updated_s=now if status != former.status else former.status_updated_s,
        authentication_type=str(kind),
        primary_key=_parse_key(keys.get("primaryKey"), former.primary_key) if has_keys else "",
        secondary_key=(
            _parse_key(keys.get("secondaryKey"), former.secondary_key) if has_keys else ""
        ),
        primary_thumbprint=(primary_print or former.primary_thumbprint) if has_prints else None,
        secondary_thumbprint=(
            (secondary_print or former.secondary_thumbprint) if has_prints else None
        ),
        iot_edge=former.iot_edge if edge is None else edge,
        device_scope=_parse_scope(document.get("deviceScope"), former.device_scope),
        parent_scopes=_parse_scopes(document.get("parentScopes"), former.parent_scopes),
        module_id=former.module_id,
        managed_by=_parse_manager(document.get("managedBy"), former.managed_by),
    )


def _object(value: Json, name: str) -> JsonObject:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise argument_invalid(f"{name} is not an object.")
    return value


def _parse_status(value: Json, former: str) -> str:
    if value is None:
        return former
    if value not in ("enabled", "disabled"):
        raise argument_invalid("status is neither enabled nor disabled.")
    return str(value)


def _parse_reason(value: Json, former: str | None) -> str | None:
    if value is None:
        return former
    if not isinstance(value, str) or len(value) > _MAX_REASON_CHARS:
        raise argument_invalid("statusReason is not a text of up to 128 characters.")
    return value


def _parse_key(value: Json, former: str) -> str:
    if value is None or value == "":
        return former or base64.b64encode(secrets.token_bytes(32)).decode("ascii")
    try:
        if not isinstance(value, str):
            raise ValueError
        key = base64.b64decode(value, validate=True)
        if not _MIN_KEY_BYTES <= len(key) <= _MAX_KEY_BYTES:
            raise ValueError
    except (binascii.Error, ValueError):
        raise argument_invalid("A key is base64 of 16 to 64 bytes.") from None
    return value


def _parse_thumbprint(value: Json) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _THUMBPRINT.fullmatch(value):
        raise argument_invalid("A thumbprint is 40 or 64 hexadecimal digits.")
    return value.upper()


def _parse_manager(value: Json, former: str | None) -> str | None:
    if value is None:
        return former
    if not isinstance(value, str) or len(value) > _MAX_REASON_CHARS:
        raise argument_invalid("managedBy is not a text of up to 128 characters.")
    return value


def _parse_scope(value: Json, former: str | None) -> str | None:
    if value is None:
        return former
    if not isinstance(value, str):
        raise argument_invalid("deviceScope is not a text.")
    return value


def _parse_scopes(value: Json, former: tuple[str, ...]) -> tuple[str, ...]:
    if value is None:
        return former
    if not isinstance(value, list):
        raise argument_invalid("parentScopes is not a list of texts.")
    scopes = tuple(each for each in value if isinstance(each, str))
    if len(scopes) != len(value):
        raise argument_invalid("parentScopes is not a list of texts.")
    return scopes


def _fresh_etag(former: str) -> str:
    while True:
        number = str(secrets.randbelow(900_000_000) + 100_000_000)
        etag = base64.b64encode(number.encode("ascii")).decode("ascii")
        if etag != former:
            return etag


def authentication_view(identity: Identity) -> JsonObject:
    return {
        "symmetricKey": {
            "primaryKey": identity.primary_key or None,
            "secondaryKey": identity.secondary_key or None,
        },
        "x509Thumbprint": {
            "primaryThumbprint": identity.primary_thumbprint,
            "secondaryThumbprint": identity.secondary_thumbprint,
        },
        "type": identity.authentication_type,
    }


def to_document(identity: Identity) -> JsonObject:
    return {**vars(identity), "parent_scopes": list(identity.parent_scopes)}


def from_document(document: Json) -> Identity:
    assert isinstance(document, dict)
    fields = dict(document)
    scopes = fields.pop("parent_scopes")
    assert isinstance(scopes, list)
    return Identity(**fields, parent_scopes=tuple(map(str, scopes)))  # type: ignore[arg-type]
