"""The identity registry: which devices there are, their keys, and whether they may connect.

Documents are in the shape of the REST interface (deviceId, etag, authentication, …).
Source: Azure IoT Hub developer guide, "Understand the identity registry"; REST "Device" model.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from host_tools.hub.state import errors
from host_tools.hub.state.connections import Connections
from host_tools.hub.state.documents import (
    Json,
    JsonObject,
    dotnet_ticks,
    etag_matches,
    iso_time,
)
from host_tools.hub.state.store import Change, Changes, Store

MAX_LISTED = 1000  # the service's own page limit
_DEVICE_ID = re.compile(r"[A-Za-z0-9\-:.+%_#*?!(),=@;$']{1,128}")
_THUMBPRINT = re.compile(r"[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64}")
_MIN_KEY_BYTES, _MAX_KEY_BYTES = 16, 64
_MAX_REASON_CHARS = 128
_AUTHENTICATION_TYPES = ("sas", "selfSigned", "certificateAuthority", "none")
_KIND = "device"

# Named here, for within the class `list` is a method.
Identities: TypeAlias = list[JsonObject]


@dataclass(frozen=True)
class Identity:
    """A device as stored. Keys are base64 text, "" where the device has none."""

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


class Registry:
    """`queue_length` tells how many messages wait for a device; the C2D part sets it."""

    def __init__(self, store: Store, clock: Callable[[], float], connections: Connections) -> None:
        self._store = store
        self._clock = clock
        self._connections = connections
        self._devices: dict[str, Identity] = {}
        self._forgetters: list[Callable[[str], Changes]] = [connections.forget]
        self._last_generation = 0
        self.queue_length: Callable[[str], int] = lambda device_id: 0
        for device_id, document in store.load(_KIND):
            self._devices[device_id] = _from_document(document)

    def create(self, identity: JsonObject) -> JsonObject:
        """Register a device; absent keys are generated. Returns: the whole identity.

        Raises: HubError 400004, 409001 (exists).
        """
        device_id = parse_device_id(identity.get("deviceId"))
        if device_id in self._devices:
            raise errors.device_exists(device_id)
        now = self._clock()
        blank = Identity(
            device_id=device_id,
            generation_id=self._fresh_generation(now),
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
        )
        self._keep(_merge(blank, identity, now))
        return self.get(device_id)

    def update(self, device_id: str, identity: JsonObject, if_match: str | None) -> JsonObject:
        """Change a device; absent keys stay. A device that becomes disabled is disconnected.

        Raises: HubError 400004, 404001, 412001.
        """
        former = self._find(device_id)
        if parse_device_id(identity.get("deviceId", device_id)) != device_id:
            raise errors.argument_invalid("deviceId differs from the one in the path.")
        if not etag_matches(if_match, former.etag):
            raise errors.precondition_failed("The identity has another etag.")
        updated = _merge(former, identity, self._clock())
        self._keep(updated)
        if updated.status == "disabled":
            self._connections.drop(device_id, "the device was disabled")
        return self.get(device_id)

    def get(self, device_id: str) -> JsonObject:
        """Raises: HubError 404001."""
        identity = self._find(device_id)
        connected = self._connections.is_connected(device_id)
        return {
            "deviceId": device_id,
            "generationId": identity.generation_id,
            "etag": identity.etag,
            "connectionState": "Connected" if connected else "Disconnected",
            "status": identity.status,
            "statusReason": identity.status_reason,
            "connectionStateUpdatedTime": iso_time(self._connections.changed_at(device_id)),
            "statusUpdatedTime": iso_time(identity.status_updated_s),
            "lastActivityTime": iso_time(self._connections.last_activity(device_id)),
            "cloudToDeviceMessageCount": self.queue_length(device_id),
            "authentication": _authentication_view(identity),
            "capabilities": {"iotEdge": identity.iot_edge},
            "deviceScope": identity.device_scope,
            "parentScopes": list(identity.parent_scopes),
        }

    def delete(self, device_id: str, if_match: str | None = None) -> None:
        """Remove a device with its twin, queue and session; its connection is closed.

        Raises: HubError 404001, 412001.
        """
        identity = self._find(device_id)
        if not etag_matches(if_match, identity.etag):
            raise errors.precondition_failed("The identity has another etag.")
        changes = [Change(_KIND, device_id, None)]
        for forget in self._forgetters:
            changes += forget(device_id)
        self._store.write(changes)
        del self._devices[device_id]

    def list(self, top: int = MAX_LISTED) -> Identities:
        """Up to `top` identities. Raises: HubError 400004 unless 1 ≤ top ≤ 1000."""
        if not 1 <= top <= MAX_LISTED:
            raise errors.argument_invalid("top is not in 1 to 1000.")
        return [self.get(device_id) for device_id in sorted(self._devices)[:top]]

    def device_ids(self) -> tuple[str, ...]:
        return tuple(sorted(self._devices))

    def exists(self, device_id: str) -> bool:
        return device_id in self._devices

    def require(self, device_id: str) -> None:
        """Raises: HubError 404001."""
        self._find(device_id)

    def identity(self, device_id: str) -> Identity:
        """Raises: HubError 404001."""
        return self._find(device_id)

    def keys(self, device_id: str) -> tuple[bytes, bytes]:
        """Primary and secondary key, decoded; empty for a device without keys.
        Raises: HubError 404001."""
        primary, secondary = self.key_texts(device_id)
        return base64.b64decode(primary), base64.b64decode(secondary)

    def key_texts(self, device_id: str) -> tuple[str, str]:
        """The keys as base64 text. Raises: HubError 404001."""
        identity = self._find(device_id)
        return identity.primary_key, identity.secondary_key

    def generation_id(self, device_id: str) -> str:
        """Raises: HubError 404001."""
        return self._find(device_id).generation_id

    def is_enabled(self, device_id: str) -> bool:
        """Raises: HubError 404001."""
        return self._find(device_id).status == "enabled"

    def statistics(self) -> JsonObject:
        """totalDeviceCount, enabledDeviceCount, disabledDeviceCount."""
        enabled = sum(each.status == "enabled" for each in self._devices.values())
        return {
            "totalDeviceCount": len(self._devices),
            "enabledDeviceCount": enabled,
            "disabledDeviceCount": len(self._devices) - enabled,
        }

    def on_delete(self, forget: Callable[[str], Changes]) -> None:
        """`forget(id)` drops what another part holds, and names what storage must drop."""
        self._forgetters.append(forget)

    def _find(self, device_id: str) -> Identity:
        identity = self._devices.get(device_id)
        if identity is None:
            raise errors.device_not_found(device_id)
        return identity

    def _keep(self, identity: Identity) -> None:
        self._store.write([Change(_KIND, identity.device_id, _to_document(identity))])
        self._devices[identity.device_id] = identity

    def _fresh_generation(self, now: float) -> str:
        self._last_generation = max(self._last_generation + 1, dotnet_ticks(now))
        return str(self._last_generation)


def parse_device_id(value: Json) -> str:
    """Raises: HubError 400004 for what cannot be a device id."""
    if not isinstance(value, str) or not _DEVICE_ID.fullmatch(value):
        raise errors.argument_invalid(
            "A device id has 1 to 128 of the ASCII letters, digits and - : . + % _ # * ? ! "
            "( ) , = @ ; $ '."
        )
    return value


def _merge(former: Identity, document: JsonObject, now: float) -> Identity:
    authentication = _object(document.get("authentication"), "authentication")
    kind = authentication.get("type") or former.authentication_type
    if kind not in _AUTHENTICATION_TYPES:
        raise errors.argument_invalid(
            "authentication.type is not one of {}.".format(", ".join(_AUTHENTICATION_TYPES))
        )
    keys = _object(authentication.get("symmetricKey"), "symmetricKey")
    prints = _object(authentication.get("x509Thumbprint"), "x509Thumbprint")
    capabilities = _object(document.get("capabilities"), "capabilities")
    edge = capabilities.get("iotEdge")
    if edge is not None and not isinstance(edge, bool):
        raise errors.argument_invalid("capabilities.iotEdge is not true or false.")
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
        raise errors.argument_invalid("A selfSigned device needs a thumbprint.")
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
    )


def _object(value: Json, name: str) -> JsonObject:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise errors.argument_invalid(f"{name} is not an object.")
    return value


def _parse_status(value: Json, former: str) -> str:
    if value is None:
        return former
    if value not in ("enabled", "disabled"):
        raise errors.argument_invalid("status is neither enabled nor disabled.")
    return str(value)


def _parse_reason(value: Json, former: str | None) -> str | None:
    if value is None:
        return former
    if not isinstance(value, str) or len(value) > _MAX_REASON_CHARS:
        raise errors.argument_invalid("statusReason is not a text of up to 128 characters.")
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
        raise errors.argument_invalid("A key is base64 of 16 to 64 bytes.") from None
    return value


def _parse_thumbprint(value: Json) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _THUMBPRINT.fullmatch(value):
        raise errors.argument_invalid("A thumbprint is 40 or 64 hexadecimal digits.")
    return value.upper()


def _parse_scope(value: Json, former: str | None) -> str | None:
    if value is None:
        return former
    if not isinstance(value, str):
        raise errors.argument_invalid("deviceScope is not a text.")
    return value


def _parse_scopes(value: Json, former: tuple[str, ...]) -> tuple[str, ...]:
    if value is None:
        return former
    if not isinstance(value, list):
        raise errors.argument_invalid("parentScopes is not a list of texts.")
    scopes = tuple(each for each in value if isinstance(each, str))
    if len(scopes) != len(value):
        raise errors.argument_invalid("parentScopes is not a list of texts.")
    return scopes


def _fresh_etag(former: str) -> str:
    while True:
        number = str(secrets.randbelow(900_000_000) + 100_000_000)
        etag = base64.b64encode(number.encode("ascii")).decode("ascii")
        if etag != former:
            return etag


def _authentication_view(identity: Identity) -> JsonObject:
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


def _to_document(identity: Identity) -> JsonObject:
    return {**vars(identity), "parent_scopes": list(identity.parent_scopes)}


def _from_document(document: Json) -> Identity:
    assert isinstance(document, dict)
    fields = dict(document)
    scopes = fields.pop("parent_scopes")
    assert isinstance(scopes, list)
    return Identity(**fields, parent_scopes=tuple(map(str, scopes)))  # type: ignore[arg-type]
