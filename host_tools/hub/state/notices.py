"""What the hub tells of itself: changes of twins and digital twins, devices and modules made,
deleted, connected and disconnected. Each kind is told only when a route asks for it.

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
from host_tools.hub.state.identity import split_key
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
        registry.on_create(self._on_creation)
        registry.on_delete(self)

    # ---- what happens

    def stored(self, key: str) -> Changes:
        """The identity is about to be deleted: what is told of it then is here now."""
        if LIFECYCLE in self.routes:
            self._leaving[key] = self._describe(key)
        return []

    def forget(self, key: str) -> None:
        body = self._leaving.pop(key, None)
        if body is not None:
            self._tell(LIFECYCLE, key, f"delete{_kind_of(key)}Identity", body)

    def _on_creation(self, key: str) -> None:
        if LIFECYCLE in self.routes:
            operation = f"create{_kind_of(key)}Identity"
            self._tell(LIFECYCLE, key, operation, self._describe(key))

    def _on_connection_change(self, key: str, is_connected: bool) -> None:
        if CONNECTION in self.routes:
            number = f"{next(self._connection_numbers):064X}"
            what = "Connected" if is_connected else "Disconnected"
            operation = f"{_kind_of(key).lower()}{what}"
            self._tell(CONNECTION, key, operation, {"sequenceNumber": number})

    def _on_twin_change(self, key: str, change: TwinChange) -> None:
        # Both kinds tell of the same write, and share its correlation id
        correlation = _fresh_correlation()
        if TWIN in self.routes:
            operation = "replaceTwin" if change.is_replacement else "updateTwin"
            body = self._changed_parts(key, change)
            self._tell(TWIN, key, operation, body, correlation)
        if DIGITAL_TWIN in self.routes:
            patch = digital_twin_changes(key, change.before, change.after)
            if patch:
                self._tell(DIGITAL_TWIN, key, "updateTwin", patch, correlation)

    # ---- what is told

    def _describe(self, key: str) -> JsonObject:
        twin = self._twins.get(key)
        names = ("deviceId", "moduleId", "etag", "version", "properties")
        return {name: twin[name] for name in names if name in twin}

    def _changed_parts(self, key: str, change: TwinChange) -> JsonObject:
        if change.is_replacement:
            whole = self._twins.get(key)
            names = ("deviceId", "moduleId", "etag", "version", "tags", "properties")
            return {name: whole[name] for name in names if name in whole}
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
        self, source: str, key: str, operation: str, body: Json, correlation: str = ""
    ) -> None:
        text = json.dumps(body, separators=(",", ":"), ensure_ascii=False)
        device_id, module_id = split_key(key)
        self._telemetry.append_notice(
            key,
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
                **({"moduleId": module_id} if module_id else {}),
                "operationTimestamp": iso_time(self._clock()),
                "iothub-message-schema": _schema(source, module_id),
                "opType": operation,
            },
            source=source,
        )


def _kind_of(key: str) -> str:
    return "Module" if split_key(key)[1] else "Device"


def _schema(source: str, module_id: str) -> str:
    """Of twins there is one for both; a module's others bear its name."""
    schema = _SCHEMAS[source]
    return schema.replace("device", "module", 1) if module_id else schema


def _fresh_correlation() -> str:
    return secrets.token_hex(6)
