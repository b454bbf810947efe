"""The identity registry: which devices and modules there are, their keys, who may connect.

Identities are found by their key (see `state.identity`). Documents are in the shape of the REST
interface (deviceId, moduleId, etag, authentication, …).
Source: Azure IoT Hub developer guide, "Understand the identity registry", "Understand and use
module twins"; REST "Device" and "Module" models.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Protocol, TypeAlias

from host_tools.hub.state import errors
from host_tools.hub.state.connections import Connections
from host_tools.hub.state.documents import JsonObject, dotnet_ticks, etag_matches, iso_time
from host_tools.hub.state.identity import (
    Identity,
    authentication_view,
    blank,
    from_document,
    identity_key,
    merge,
    parse_device_id,
    parse_module_id,
    split_key,
    to_document,
)
from host_tools.hub.state.store import Change, Changes, Store

MAX_LISTED = 1000  # the service's own page limit
MAX_MODULES = 50  # of one device. Source: Azure IoT Hub quotas, "Other limits"
_KIND = "device"

_MODULE_NAMES = (
    "moduleId",
    "managedBy",
    "deviceId",
    "generationId",
    "etag",
    "connectionState",
    "connectionStateUpdatedTime",
    "lastActivityTime",
    "cloudToDeviceMessageCount",
    "authentication",
)

# Named here, for within the class `list` is a method.
Identities: TypeAlias = list[JsonObject]


class DevicePart(Protocol):
    """A part of the state that keeps something for each identity."""

    def stored(self, key: str) -> Changes:
        """The changes that drop from storage what is kept for the identity."""

    def forget(self, key: str) -> None:
        """The identity is deleted, storage included: drop what is in memory."""


class Registry:
    """`queue_length` tells how many messages wait for a device; the C2D part sets it."""

    def __init__(self, store: Store, clock: Callable[[], float], connections: Connections) -> None:
        self._store = store
        self._clock = clock
        self._connections = connections
        self._identities: dict[str, Identity] = {}
        self._observers: list[Callable[[str], None]] = []
        self._parts: list[DevicePart] = [connections]
        self._last_generation = 0
        self.queue_length: Callable[[str], int] = lambda key: 0
        for key, document in store.load(_KIND):
            self._identities[key] = from_document(document)

    def create(self, identity: JsonObject) -> JsonObject:
        """Register a device, or a module of one; absent keys are generated. Returns: the whole
        identity.

        Raises: HubError 400004, 404001 (a module's device), 409001, 409301 (exist), 413003.
        """
        device_id = parse_device_id(identity.get("deviceId"))
        module_id = parse_module_id(identity.get("moduleId"))
        key = identity_key(device_id, module_id)
        if module_id:
            self._check_new_module(device_id, module_id)
        elif key in self._identities:
            raise errors.device_exists(device_id)
        now = self._clock()
        former = blank(device_id, self._fresh_generation(now), module_id)
        self._keep(merge(former, identity, now))
        for observer in self._observers:
            observer(key)
        return self.get(key)

    def update(self, key: str, identity: JsonObject, if_match: str | None) -> JsonObject:
        """Change an identity; absent keys stay. A device that becomes disabled is disconnected,
        and so are its modules.

        Raises: HubError 400004, 404001, 404010, 412001.
        """
        former = self._find(key)
        named = identity_key(
            parse_device_id(identity.get("deviceId", former.device_id)),
            parse_module_id(identity.get("moduleId", former.module_id)),
        )
        if named != key:
            raise errors.argument_invalid("The id differs from the one in the path.")
        if not etag_matches(if_match, former.etag):
            raise errors.precondition_failed("The identity has another etag.")
        updated = merge(former, identity, self._clock())
        self._keep(updated)
        if updated.status == "disabled":
            for each in (key, *self.module_keys(key)):
                self._connections.drop(each, "the device was disabled")
        return self.get(key)

    def get(self, key: str) -> JsonObject:
        """In the shape of a device, or of a module. Raises: HubError 404001, 404010."""
        whole = self.describe(key)
        if split_key(key)[1]:
            return {name: whole[name] for name in _MODULE_NAMES}
        return {name: value for name, value in whole.items() if name not in _MODULE_NAMES[:2]}

    def describe(self, key: str) -> JsonObject:
        """All that is known of an identity. A module's status, capabilities and scopes are its
        device's. Raises: HubError 404001, 404010."""
        identity = self._find(key)
        device = self._find(identity.device_id)
        connected = self._connections.is_connected(key)
        return {
            "moduleId": identity.module_id or None,
            "managedBy": identity.managed_by,
            "deviceId": identity.device_id,
            "generationId": identity.generation_id,
            "etag": identity.etag,
            "connectionState": "Connected" if connected else "Disconnected",
            "status": device.status,
            "statusReason": device.status_reason,
            "connectionStateUpdatedTime": iso_time(self._connections.changed_at(key)),
            "statusUpdatedTime": iso_time(device.status_updated_s),
            "lastActivityTime": iso_time(self._connections.last_activity(key)),
            "cloudToDeviceMessageCount": self.queue_length(key),
            "authentication": authentication_view(identity),
            "capabilities": {"iotEdge": device.iot_edge},
            "deviceScope": device.device_scope,
            "parentScopes": list(device.parent_scopes),
        }

    def delete(self, key: str, if_match: str | None = None) -> None:
        """Remove an identity with its twin, queue and session, and a device's modules with it;
        their connections are closed.

        Raises: HubError 404001, 404010, 412001.
        """
        identity = self._find(key)
        if not etag_matches(if_match, identity.etag):
            raise errors.precondition_failed("The identity has another etag.")
        going = (*self.module_keys(key), key)
        changes: Changes = []
        for each in going:
            changes.append(Change(_KIND, each, None))
            for part in self._parts:
                changes += part.stored(each)
        self._store.write(changes)
        for each in going:
            del self._identities[each]
            for part in self._parts:
                part.forget(each)

    def list(self, top: int = MAX_LISTED) -> Identities:
        """Up to `top` devices. Raises: HubError 400004 unless 1 ≤ top ≤ 1000."""
        if not 1 <= top <= MAX_LISTED:
            raise errors.argument_invalid("top is not in 1 to 1000.")
        return [self.get(device_id) for device_id in self.device_ids()[:top]]

    def list_modules(self, device_id: str) -> Identities:
        """Raises: HubError 404001."""
        self.require(device_id)
        return [self.get(key) for key in self.module_keys(device_id)]

    def device_ids(self) -> tuple[str, ...]:
        return tuple(sorted(key for key in self._identities if "/" not in key))

    def module_keys(self, device_id: str | None = None) -> tuple[str, ...]:
        """The keys of a device's modules, or of all."""
        start = "" if device_id is None else f"{device_id}/"
        return tuple(
            sorted(key for key in self._identities if "/" in key and key.startswith(start))
        )

    def exists(self, key: str) -> bool:
        return key in self._identities

    def require(self, key: str) -> None:
        """Raises: HubError 404001, 404010."""
        self._find(key)

    def identity(self, key: str) -> Identity:
        """Raises: HubError 404001, 404010."""
        return self._find(key)

    def keys(self, key: str) -> tuple[bytes, bytes]:
        """Primary and secondary symmetric key, decoded; empty for an identity without keys.
        Raises: HubError 404001, 404010."""
        primary, secondary = self.key_texts(key)
        return base64.b64decode(primary), base64.b64decode(secondary)

    def key_texts(self, key: str) -> tuple[str, str]:
        """The symmetric keys as base64 text. Raises: HubError 404001, 404010."""
        identity = self._find(key)
        return identity.primary_key, identity.secondary_key

    def generation_id(self, key: str) -> str:
        """Raises: HubError 404001, 404010."""
        return self._find(key).generation_id

    def is_enabled(self, key: str) -> bool:
        """Whether the device may connect, or the module's device. Raises: HubError 404001."""
        return self._find(split_key(key)[0]).status == "enabled"

    def statistics(self) -> JsonObject:
        """totalDeviceCount, enabledDeviceCount, disabledDeviceCount."""
        devices = [each for each in self._identities.values() if not each.module_id]
        enabled = sum(each.status == "enabled" for each in devices)
        return {
            "totalDeviceCount": len(devices),
            "enabledDeviceCount": enabled,
            "disabledDeviceCount": len(devices) - enabled,
        }

    def on_create(self, observer: Callable[[str], None]) -> None:
        """Call `observer` with the key of each identity that was made."""
        self._observers.append(observer)

    def on_delete(self, part: DevicePart) -> None:
        """`part` keeps something for identities, which goes when they are deleted."""
        self._parts.append(part)

    def _check_new_module(self, device_id: str, module_id: str) -> None:
        self.require(device_id)
        if self.exists(identity_key(device_id, module_id)):
            raise errors.module_exists(device_id, module_id)
        if len(self.module_keys(device_id)) >= MAX_MODULES:
            raise errors.too_many_modules(device_id, MAX_MODULES)

    def _find(self, key: str) -> Identity:
        identity = self._identities.get(key)
        if identity is not None:
            return identity
        device_id, module_id = split_key(key)
        if module_id and device_id in self._identities:
            raise errors.module_not_found(device_id, module_id)
        raise errors.device_not_found(device_id)

    def _keep(self, identity: Identity) -> None:
        self._store.write([Change(_KIND, identity.key, to_document(identity))])
        self._identities[identity.key] = identity

    def _fresh_generation(self, now: float) -> str:
        self._last_generation = max(self._last_generation + 1, dotnet_ticks(now))
        return str(self._last_generation)
