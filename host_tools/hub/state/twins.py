"""Twins of devices and modules: desired properties and tags from the service, reported ones from
the device. `key` names whose twin it is (see `state.identity`).

The etag changes with writes of the service only: a back end that reads, then writes with the etag
is not disturbed by a device that reports meanwhile. `version` counts every change.
Source: Azure IoT Hub developer guide, "Understand and use device twins in IoT Hub", "…
module twins".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from host_tools.hub.state.connections import Connections
from host_tools.hub.state.digital_twin_patch import desired_patch
from host_tools.hub.state.digital_twin_view import digital_twin_view
from host_tools.hub.state.documents import (
    Json,
    JsonObject,
    etag_matches,
    iso_time,
)
from host_tools.hub.state.errors import argument_invalid, precondition_failed
from host_tools.hub.state.identity import split_key
from host_tools.hub.state.registry import Registry
from host_tools.hub.state.store import Change, Changes, Store
from host_tools.hub.state.twin_document import (
    FRESH,
    Twin,
    from_document,
    parse_service_patch,
    to_document,
)
from host_tools.hub.state.twin_rules import (
    MAX_PROPERTIES_BYTES,
    MAX_TAGS_BYTES,
    check_size,
    check_values,
)
from host_tools.hub.state.twin_section import Section, merged_tags

MAX_MODEL_ID_CHARS = 128  # DTDL's limit for the id of an interface
_KIND = "twin"


@dataclass(frozen=True)
class TwinChange:
    """One write: the twin before and after, and what was written, each None where it was not."""

    before: Twin
    after: Twin
    tags: JsonObject | None = None
    desired: JsonObject | None = None
    reported: JsonObject | None = None
    is_replacement: bool = False


class TwinRow(Mapping[str, Json]):
    """One twin as `Twins.get` has it, made member by member."""

    def __init__(self, twins: Twins, key: str, twin: Twin) -> None:
        self.key = key
        self._twins = twins
        self._twin = twin
        self._whole: JsonObject | None = None

    def __getitem__(self, name: str) -> Json:
        # What queries mostly ask for, without the rest
        if name == "deviceId":
            return split_key(self.key)[0]
        if name == "tags":
            return self._twin.tags
        return self.whole()[name]

    def whole(self) -> JsonObject:
        if self._whole is None:
            self._whole = self._twins.get(self.key)
        return self._whole

    def __iter__(self) -> Iterator[str]:
        return iter(self.whole())

    def __len__(self) -> int:
        return len(self.whole())


class Twins:
    """Documents handed out share parts with the state: read them, do not change them."""

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
        self._twins = {key: from_document(document) for key, document in store.load(_KIND)}
        self._observers: list[Callable[[str, TwinChange], None]] = []
        # What automatic device management says of a twin; that part sets it
        self.configurations: Callable[[str], JsonObject] = lambda key: {}
        registry.on_delete(self)

    def on_change(self, observer: Callable[[str, TwinChange], None]) -> None:
        """Call `observer` with the key after each write of a twin."""
        self._observers.append(observer)

    def get(self, key: str) -> JsonObject:
        """The twin as the service sees it, with $metadata. Raises: HubError 404001."""
        twin = self._find(key)
        identity = self._registry.describe(key)
        authentication = identity["authentication"]
        assert isinstance(authentication, dict)
        module_id = identity["moduleId"]
        configurations = self.configurations(key)
        return {
            "deviceId": identity["deviceId"],
            **({"moduleId": module_id} if module_id else {}),
            "etag": twin.etag,
            "deviceEtag": identity["etag"],
            "status": identity["status"],
            "statusReason": identity["statusReason"],
            "statusUpdateTime": identity["statusUpdatedTime"],
            "connectionState": identity["connectionState"],
            "lastActivityTime": identity["lastActivityTime"],
            "cloudToDeviceMessageCount": identity["cloudToDeviceMessageCount"],
            "authenticationType": authentication["type"],
            "x509Thumbprint": authentication["x509Thumbprint"],
            "modelId": twin.model_id,
            "version": twin.version,
            "tags": twin.tags,
            "properties": {
                "desired": twin.desired.service_view(),
                "reported": twin.reported.service_view(),
            },
            "capabilities": identity["capabilities"],
            "deviceScope": identity["deviceScope"],
            "parentScopes": identity["parentScopes"],
            **({"configurations": configurations} if configurations else {}),
        }

    def rows(self, of_modules: bool = False) -> Iterator[TwinRow]:
        """All twins of devices, or of modules, in the order of their keys, to be searched: each
        is looked up only as far as it is asked about."""
        keys = self._registry.module_keys() if of_modules else self._registry.device_ids()
        for key in keys:
            yield TwinRow(self, key, self._twins.get(key) or FRESH)

    def row(self, key: str) -> TwinRow:
        """One twin, to be searched. Raises: HubError 404001, 404010."""
        return TwinRow(self, key, self._find(key))

    def device_view(self, key: str) -> JsonObject:
        """`{"desired": …, "reported": …}`, each with $version, without $metadata or tags: the
        body of the answer to a device's GET. Raises: HubError 404001."""
        twin = self._find(key)
        return {"desired": twin.desired.device_view(), "reported": twin.reported.device_view()}

    def update_desired(
        self,
        key: str,
        patch: JsonObject,
        if_match: str | None = None,
        replace: bool = False,
    ) -> JsonObject:
        """Write tags and desired properties: `{"tags": …, "properties": {"desired": …}}`.

        Merges, or with `replace` puts both sections anew (an absent one becomes empty); other
        parts of a whole twin are ignored. The connected device is sent the change through its
        connection. Returns: the whole twin. Raises: HubError 400004, 404001, 412001.
        """
        twin = self._find(key)
        tags, desired = parse_service_patch(patch)
        if not etag_matches(if_match, twin.etag):
            raise precondition_failed("The twin has another etag.")
        if replace:
            self._replace(key, twin, tags, desired)
        elif tags or desired:
            self._merge(key, twin, tags, desired)
        return self.get(key)

    def ensure_desired(self, key: str, patch: JsonObject) -> None:
        """Write desired properties unless they are so already. Raises: HubError 400004, 404001,
        404010."""
        desired = self._find(key).desired
        if desired.merged(patch, "", versioned=False).data != desired.data:
            self.update_desired(key, {"properties": {"desired": patch}})

    def update_reported(self, key: str, patch: JsonObject) -> int:
        """Merge a device's report. Returns: the new $version of reported, for the answer
        `$iothub/twin/res/204/?$rid=…&$version=…`. Raises: HubError 400004, 404001."""
        twin = self._find(key)
        if not isinstance(patch, dict):
            raise argument_invalid("Reported properties are an object.")
        check_values(patch, "reported")
        self._connections.touch(key)
        if not patch:
            return twin.reported.version
        section = twin.reported.merged(patch, self._now(), versioned=False)
        check_size(section.data, "reported", MAX_PROPERTIES_BYTES)
        written = replace(twin, reported=section, version=twin.version + 1)
        self._keep(key, written)
        self._tell(key, TwinChange(twin, written, reported=patch))
        return section.version

    def set_model_id(self, key: str, model_id: str) -> None:
        """Keep the model id that the device announced. Raises: HubError 400004, 404001."""
        twin = self._find(key)
        if len(model_id) > MAX_MODEL_ID_CHARS:
            raise argument_invalid("The model id is longer than 128 characters.")
        if model_id != twin.model_id:
            self._keep(key, replace(twin, model_id=model_id, version=twin.version + 1))

    def model_id(self, key: str) -> str:
        """The last announced model id, or "". Raises: HubError 404001."""
        return self._find(key).model_id

    def reported_version(self, key: str) -> int:
        """Raises: HubError 404001."""
        return self._find(key).reported.version

    def digital_twin(self, key: str) -> tuple[JsonObject, str]:
        """The Plug and Play view and its etag. Raises: HubError 404001."""
        twin = self._find(key)
        document = digital_twin_view(key, twin.model_id, twin.desired, twin.reported)
        return document, twin.etag

    def patch_digital_twin(self, key: str, operations: Json, if_match: str | None = None) -> str:
        """Apply a JSON Patch to writable properties. Returns: the new etag.
        Raises: HubError 400505, 400004, 404001, 412001."""
        twin = self._find(key)
        patch = desired_patch(operations, twin.desired.data, twin.reported.data)
        self.update_desired(key, {"properties": {"desired": patch}}, if_match)
        return self._find(key).etag

    def stored(self, key: str) -> Changes:
        """The changes that drop from storage what is kept for the device."""
        return [Change(_KIND, key, None)]

    def forget(self, key: str) -> None:
        """The device is deleted, storage included: drop what is in memory."""
        self._twins.pop(key, None)

    def _merge(
        self, key: str, twin: Twin, tags: JsonObject | None, patch: JsonObject | None
    ) -> None:
        section = twin.desired
        if patch:
            section = section.merged(patch, self._now(), versioned=True)
        tags_now = merged_tags(twin.tags, tags or {})
        written = self._keep_service_write(key, twin, tags_now, section)
        if patch:
            self._push(key, {**patch, "$version": section.version}, section.version)
        self._tell(key, TwinChange(twin, written, tags=tags, desired=patch))

    def _replace(
        self, key: str, twin: Twin, tags: JsonObject | None, data: JsonObject | None
    ) -> None:
        section = twin.desired.replaced(data or {}, self._now(), versioned=True)
        tags_now = merged_tags({}, tags or {})
        written = self._keep_service_write(key, twin, tags_now, section)
        self._push(key, section.device_view(), section.version)
        self._tell(key, TwinChange(twin, written, is_replacement=True))

    def _keep_service_write(
        self, key: str, twin: Twin, tags: JsonObject, desired: Section
    ) -> Twin:
        check_size(tags, "tags", MAX_TAGS_BYTES)
        check_size(desired.data, "desired", MAX_PROPERTIES_BYTES)
        written = replace(
            twin,
            tags=tags,
            desired=desired,
            version=twin.version + 1,
            etag_counter=twin.etag_counter + 1,
        )
        self._keep(key, written)
        return written

    def _tell(self, key: str, change: TwinChange) -> None:
        for observer in self._observers:
            observer(key, change)

    def _push(self, key: str, patch: JsonObject, version: int) -> None:
        connection = self._connections.current(key)
        if connection is not None:
            connection.send_desired(patch, version)

    def _find(self, key: str) -> Twin:
        self._registry.require(key)
        return self._twins.get(key) or FRESH

    def _keep(self, key: str, twin: Twin) -> None:
        self._store.write([Change(_KIND, key, to_document(twin))])
        self._twins[key] = twin

    def _now(self) -> str:
        return iso_time(self._clock())
