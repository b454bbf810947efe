"""What the hub tells of itself: changes of twins and digital twins, devices made, deleted,
connected and disconnected. Each kind is told only when a route asks for it.

They come among the telemetry, told apart by `iothub-message-source`.
Source: Azure IoT Hub, "Non-telemetry event schemas"; "Understand IoT Plug and Play digital twins",
change notifications, as the service developer guide prints them.
"""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Callable, Collection

from host_tools.hub.state.connections import Connections
from host_tools.hub.state.digital_twin_changes import digital_twin_changes
from host_tools.hub.state.documents import Json, JsonObject, iso_time
from host_tools.hub.state.registry import Registry
from host_tools.hub.state.store import Changes
from host_tools.hub.state.telemetry import Telemetry
from host_tools.hub.state.twins import TwinChange, Twins

TWIN = "twinChangeEvents"
DIGITAL_TWIN = "digitalTwinChangeEvents"
LIFECYCLE = "deviceLifecycleEvents"
CONNECTION = "deviceConnectionStateEvents"
SOURCES = (TWIN, DIGITAL_TWIN, LIFECYCLE, CONNECTION)

_SCHEMAS = {
    TWIN: "twinChangeNotification",
    DIGITAL_TWIN: "digitalTwinChangeNotification",
    LIFECYCLE: "deviceLifecycleNotification",
    CONNECTION: "deviceConnectionStateNotification",
}
_CONTENT_TYPES = {DIGITAL_TWIN: "application/json-patch+json"}


class Notices:
    """`routes`: which of SOURCES are told."""

    def __init__(
        self,
        hub_name: str,
        clock: Callable[[], float],
        telemetry: Telemetry,
        registry: Registry,
        twins: Twins,
        connections: Connections,
    ) -> None:
        self.routes: Collection[str] = ()
        self._hub_name = hub_name
        self._clock = clock
        self._telemetry = telemetry
        self._twins = twins
        # Grows with every start, so that events before and after one can be ordered
        self._connection_numbers = itertools.count(int(clock() * 1000))
        self._leaving: dict[str, JsonObject] = {}
        twins.on_change(self._on_twin_change)
        connections.on_change(self._on_connection_change)
        registry.on_create(lambda device_id: self._on_lifecycle(device_id, "createDeviceIdentity"))
        registry.on_delete(self)

    # ---- what happens

    def stored(self, device_id: str) -> Changes:
        """The device is about to be deleted: what is told of it then is here now."""
        if LIFECYCLE in self.routes:
            self._leaving[device_id] = self._describe(device_id)
        return []

    def forget(self, device_id: str) -> None:
        body = self._leaving.pop(device_id, None)
        if body is not None:
            self._tell(LIFECYCLE, device_id, "deleteDeviceIdentity", body)

    def _on_lifecycle(self, device_id: str, operation: str) -> None:
        if LIFECYCLE in self.routes:
            self._tell(LIFECYCLE, device_id, operation, self._describe(device_id))

    def _on_connection_change(self, device_id: str, is_connected: bool) -> None:
        if CONNECTION in self.routes:
            number = f"{next(self._connection_numbers):064X}"
            operation = "deviceConnected" if is_connected else "deviceDisconnected"
            self._tell(CONNECTION, device_id, operation, {"sequenceNumber": number})

    def _on_twin_change(self, device_id: str, change: TwinChange) -> None:
        # Both kinds tell of the same write, and share its correlation id
        correlation = _fresh_correlation()
        if TWIN in self.routes:
            operation = "replaceTwin" if change.is_replacement else "updateTwin"
            body = self._changed_parts(device_id, change)
            self._tell(TWIN, device_id, operation, body, correlation)
        if DIGITAL_TWIN in self.routes:
            patch = digital_twin_changes(device_id, change.before, change.after)
            if patch:
                self._tell(DIGITAL_TWIN, device_id, "updateTwin", patch, correlation)

    # ---- what is told

    def _describe(self, device_id: str) -> JsonObject:
        twin = self._twins.get(device_id)
        names = ("deviceId", "etag", "version", "properties")
        return {name: twin[name] for name in names}

    def _changed_parts(self, device_id: str, change: TwinChange) -> JsonObject:
        if change.is_replacement:
            whole = self._twins.get(device_id)
            names = ("deviceId", "etag", "version", "tags", "properties")
            return {name: whole[name] for name in names}
        body: JsonObject = {"version": change.after.version}
        if change.tags:
            body["tags"] = change.tags
        properties: JsonObject = {}
        if change.desired:
            properties["desired"] = change.after.desired.described(change.desired)
        if change.reported:
            properties["reported"] = change.after.reported.described(change.reported)
        if properties:
            body["properties"] = properties
        return body

    def _tell(
        self, source: str, device_id: str, operation: str, body: Json, correlation: str = ""
    ) -> None:
        text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
        self._telemetry.append_notice(
            device_id,
            text.encode("utf-8"),
            system={
                "user-id": self._hub_name,
                "correlation-id": correlation or _fresh_correlation(),
                "content-type": _CONTENT_TYPES.get(source, "application/json"),
                "content-encoding": "utf-8",
            },
            properties={
                "hubName": self._hub_name,
                "deviceId": device_id,
                "operationTimestamp": iso_time(self._clock()),
                "iothub-message-schema": _SCHEMAS[source],
                "opType": operation,
            },
            source=source,
        )


def _fresh_correlation() -> str:
    return secrets.token_hex(6)
