"""What certification needs of a hub: a device's twin, commands, events. Through the SDKs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from host_tools.cloud.connection import HubConnection
from host_tools.cloud.event_reader import read_events

_LOOK_S = 0.2
_T = TypeVar("_T")


class DeviceUnderTest(Protocol):
    def twin(self) -> dict[str, Any]: ...

    def set_desired(self, patch: dict[str, Any]) -> int: ...

    def call(self, name: str, payload: Any, timeout_s: int) -> tuple[int, Any] | None: ...

    def set_enabled(self, is_enabled: bool) -> None: ...

    def events(self) -> list[dict[str, Any]]: ...


class HubDevice:
    """The device `device_id` at a hub. Between `begin` and `end` its events are gathered."""

    def __init__(self, connection: HubConnection, device_id: str) -> None:
        self._connection = connection
        self._id = device_id
        self._registry = connection.registry()
        self._events: list[dict[str, Any]] = []
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None
        self._failure: Exception | None = None

    def begin(self) -> None:
        self._thread = threading.Thread(target=self._gather, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._is_over.set()
        if self._thread is not None:
            self._thread.join(10)

    def _gather(self) -> None:
        try:
            is_over = self._is_over.is_set
            for event in read_events(self._connection, "$Default", "@latest", is_over):
                if event["device"] == self._id and event["source"] == "Telemetry":
                    self._events.append(event)
        except Exception as error:  # noqa: BLE001 - told when the events are asked for
            self._failure = error

    def events(self) -> list[dict[str, Any]]:
        if self._failure is not None:
            raise self._failure
        return list(self._events)

    def twin(self) -> dict[str, Any]:
        """modelId, connectionState, desired and reported, without metadata."""
        found = self._registry.get_twin(self._id)
        sections = {
            name: {k: v for k, v in getattr(found.properties, name).items() if k != "$metadata"}
            for name in ("desired", "reported")
        }
        return {
            "modelId": found.additional_properties.get("modelId", ""),
            "connectionState": found.connection_state,
            **sections,
        }

    def set_desired(self, patch: dict[str, Any]) -> int:
        """The version of the desired section that it made."""
        from azure.iot.hub.models import Twin, TwinProperties

        twin = Twin(properties=TwinProperties(desired=patch))
        changed = self._registry.update_twin(self._id, twin, "*")
        return int(changed.properties.desired["$version"])

    def call(self, name: str, payload: Any, timeout_s: int) -> tuple[int, Any] | None:
        """Status and answer; None when none came in time, or the device is away."""
        from azure.iot.hub.models import CloudToDeviceMethod
        from msrest.exceptions import HttpOperationError

        request = CloudToDeviceMethod(
            method_name=name,
            payload=payload,
            response_timeout_in_seconds=max(5, timeout_s),
            connect_timeout_in_seconds=0,
        )
        try:
            found = self._registry.invoke_device_method(self._id, request)
        except HttpOperationError as error:
            if error.response.status_code in (404, 504):
                return None
            raise
        return int(found.status), found.payload

    def set_enabled(self, is_enabled: bool) -> None:
        """Without its place with the hub, the device is thrown out and cannot come back."""
        found = self._registry.get_device(self._id)
        status = "enabled" if is_enabled else "disabled"
        authentication = found.authentication
        if authentication.type == "sas":
            keys = authentication.symmetric_key
            self._registry.update_device_with_sas(
                self._id, found.etag, keys.primary_key, keys.secondary_key, status
            )
        elif authentication.type == "selfSigned":
            prints = authentication.x509_thumbprint
            self._registry.update_device_with_x509(
                self._id,
                found.etag,
                prints.primary_thumbprint,
                prints.secondary_thumbprint,
                status,
            )
        else:
            self._registry.update_device_with_certificate_authority(self._id, found.etag, status)


def wait_for(look: Callable[[], _T | None], limit_s: float) -> _T | None:
    """What `look` gives as soon as it is something; None if it is nothing for so long."""
    end = time.monotonic() + limit_s
    while True:
        found = look()
        if found is not None or time.monotonic() > end:
            return found
        time.sleep(_LOOK_S)
