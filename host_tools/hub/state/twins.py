"""Device twins: desired and reported properties, tags, versions, metadata."""

from __future__ import annotations

from collections.abc import Callable

from host_tools.hub.state.connections import Connections
from host_tools.hub.state.documents import Json, JsonObject
from host_tools.hub.state.registry import Registry
from host_tools.hub.state.store import Change, Store


class Twins:
    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        registry: Registry,
        connections: Connections,
    ) -> None:
        self._store = store
        self._clock = clock
        self._registry = registry
        self._connections = connections
        registry.on_delete(self.forget)

    def get(self, device_id: str) -> JsonObject:
        """The twin as the service sees it, with $metadata. Raises: HubError 404001."""
        raise NotImplementedError

    def device_view(self, device_id: str) -> JsonObject:
        """`{"desired": …, "reported": …}`, each with $version, without $metadata or tags: the
        body of the answer to a device's GET. Raises: HubError 404001."""
        raise NotImplementedError

    def update_desired(
        self,
        device_id: str,
        patch: JsonObject,
        if_match: str | None = None,
        replace: bool = False,
    ) -> JsonObject:
        """Write tags and desired properties: `{"tags": …, "properties": {"desired": …}}`.

        Merges, or with `replace` puts both sections anew. The connected device is sent the
        change through its connection. Returns: the whole twin.
        Raises: HubError 400004, 404001, 412001.
        """
        raise NotImplementedError

    def update_reported(self, device_id: str, patch: JsonObject) -> int:
        """Merge a device's report. Returns: the new $version of reported, for the answer
        `$iothub/twin/res/204/?$rid=…&$version=…`. Raises: HubError 400004, 404001."""
        raise NotImplementedError

    def set_model_id(self, device_id: str, model_id: str) -> None:
        """Keep the model id that the device announced ("" if none). Raises: HubError 404001."""
        raise NotImplementedError

    def model_id(self, device_id: str) -> str:
        """The last announced model id, or "". Raises: HubError 404001."""
        raise NotImplementedError

    def digital_twin(self, device_id: str) -> tuple[JsonObject, str]:
        """The Plug and Play view and its etag. Raises: HubError 404001."""
        raise NotImplementedError

    def patch_digital_twin(
        self, device_id: str, operations: Json, if_match: str | None = None
    ) -> str:
        """Apply a JSON Patch to writable properties. Returns: the new etag.
        Raises: HubError 400505, 400004, 404001, 412001."""
        raise NotImplementedError

    def forget(self, device_id: str) -> list[Change]:
        """The device is deleted: the changes that storage still has to make."""
        return []
