"""The identity registry: which devices there are, their keys, and whether they may connect.

Documents are in the shape of the REST interface (deviceId, etag, authentication, …).
Source: Azure IoT Hub developer guide, "Understand the identity registry"; REST "Device" model.
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
    merge,
    parse_device_id,
    to_document,
)
from host_tools.hub.state.store import Change, Changes, Store

MAX_LISTED = 1000  # the service's own page limit
_KIND = "device"

# Named here, for within the class `list` is a method.
Identities: TypeAlias = list[JsonObject]


class DevicePart(Protocol):
    """A part of the state that keeps something for each device."""

    def stored(self, device_id: str) -> Changes:
        """The changes that drop from storage what is kept for the device."""

    def forget(self, device_id: str) -> None:
        """The device is deleted, storage included: drop what is in memory."""


class Registry:
    """`queue_length` tells how many messages wait for a device; the C2D part sets it."""

    def __init__(self, store: Store, clock: Callable[[], float], connections: Connections) -> None:
        self._store = store
        self._clock = clock
        self._connections = connections
        self._devices: dict[str, Identity] = {}
        self._observers: list[Callable[[str], None]] = []
        self._parts: list[DevicePart] = [connections]
        self._last_generation = 0
        self.queue_length: Callable[[str], int] = lambda device_id: 0
        for device_id, document in store.load(_KIND):
            self._devices[device_id] = from_document(document)

    def create(self, identity: JsonObject) -> JsonObject:
        """Register a device; absent keys are generated. Returns: the whole identity.

        Raises: HubError 400004, 409001 (exists).
        """
        device_id = parse_device_id(identity.get("deviceId"))
        if device_id in self._devices:
            raise errors.device_exists(device_id)
        now = self._clock()
        self._keep(merge(blank(device_id, self._fresh_generation(now)), identity, now))
        for observer in self._observers:
            observer(device_id)
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
        updated = merge(former, identity, self._clock())
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
            "authentication": authentication_view(identity),
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
        for part in self._parts:
            changes += part.stored(device_id)
        self._store.write(changes)
        del self._devices[device_id]
        for part in self._parts:
            part.forget(device_id)

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

    def on_create(self, observer: Callable[[str], None]) -> None:
        """Call `observer` with the id of each device that was made."""
        self._observers.append(observer)

    def on_delete(self, part: DevicePart) -> None:
        """`part` keeps something for devices, which goes when they are deleted."""
        self._parts.append(part)

    def _find(self, device_id: str) -> Identity:
        identity = self._devices.get(device_id)
        if identity is None:
            raise errors.device_not_found(device_id)
        return identity

    def _keep(self, identity: Identity) -> None:
        self._store.write([Change(_KIND, identity.device_id, to_document(identity))])
        self._devices[identity.device_id] = identity

    def _fresh_generation(self, now: float) -> str:
        self._last_generation = max(self._last_generation + 1, dotnet_ticks(now))
        return str(self._last_generation)
