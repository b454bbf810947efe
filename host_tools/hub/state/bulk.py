"""Many identities in one call: each entry says what is to be done with its device or module.

Entries are done one by one, in their order; one that fails leaves the others as they are.
Source: REST specification of the IoT Hub service, "Bulk registry", ExportImportDevice.
"""

from __future__ import annotations

from collections.abc import Callable

from host_tools.hub.state.documents import Json, JsonObject
from host_tools.hub.state.errors import HubError, argument_invalid
from host_tools.hub.state.identity import (
    identity_key,
    parse_device_id,
    parse_module_id,
    split_key,
)
from host_tools.hub.state.registry import Registry
from host_tools.hub.state.twins import Twins

MAX_ENTRIES = 100

# What stands in an entry beside what an identity has
_IDENTITY_NAMES = (
    "status",
    "statusReason",
    "authentication",
    "capabilities",
    "deviceScope",
    "parentScopes",
    "managedBy",
)


class Bulk:
    def __init__(self, registry: Registry, twins: Twins) -> None:
        self._registry = registry
        self._twins = twins
        self._modes: dict[str, Callable[[str, JsonObject], None]] = {
            "create": self._create,
            "createOrUpdate": lambda key, entry: self._create_or_update(key, entry, None),
            "createOrUpdateIfMatchETag": lambda key, entry: self._create_or_update(
                key, entry, _etag(entry, "eTag")
            ),
            "update": lambda key, entry: self._update(key, entry, None),
            "updateIfMatchETag": lambda key, entry: self._update(key, entry, _etag(entry, "eTag")),
            "delete": lambda key, entry: self._registry.delete(key),
            "deleteIfMatchETag": lambda key, entry: self._registry.delete(
                key, _etag(entry, "eTag")
            ),
            "updateTwin": lambda key, entry: self._update_twin(key, entry, None),
            "updateTwinIfMatchETag": lambda key, entry: self._update_twin(
                key, entry, _etag(entry, "twinETag")
            ),
        }

    def apply(self, entries: Json) -> JsonObject:
        """Returns: isSuccessful, errors, warnings. Raises: HubError 400004 for a list as a whole
        that cannot be done."""
        if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_ENTRIES:
            raise argument_invalid(f"The body is not a list of 1 to {MAX_ENTRIES} devices.")
        ids = [
            (each.get("id"), each.get("moduleId")) for each in entries if isinstance(each, dict)
        ]
        if len(set(map(repr, ids))) != len(entries):
            raise argument_invalid("An entry is no device, or a device is there twice.")
        errors: list[Json] = []
        for each in entries:
            errors += self.take(each, default_mode="create")
        return {"isSuccessful": not errors, "errors": errors, "warnings": []}

    def take(self, entry: Json, default_mode: str) -> list[JsonObject]:
        """Do what one entry says. Returns: what is told of it if that failed."""
        if not isinstance(entry, dict):
            return [_told({}, argument_invalid("The entry is not an object."), default_mode)]
        try:
            self._apply_one(entry, default_mode)
        except HubError as error:
            return [_told(entry, error, default_mode)]
        return []

    def _apply_one(self, entry: JsonObject, default_mode: str) -> None:
        device_id = parse_device_id(entry.get("id"))
        key = identity_key(device_id, parse_module_id(entry.get("moduleId")))
        mode = entry.get("importMode") or default_mode
        known = {name.lower(): action for name, action in self._modes.items()}
        action = known.get(str(mode).lower())
        if action is None:
            raise argument_invalid(f"importMode is none of {', '.join(self._modes)}.")
        action(key, entry)

    def _create(self, key: str, entry: JsonObject) -> None:
        device_id, module_id = split_key(key)
        named: JsonObject = {"deviceId": device_id, "moduleId": module_id}
        self._registry.create({**_identity(entry), **named})
        try:
            self._update_twin(key, entry, None)
        except HubError:
            # All of it or nothing: a twin that cannot be leaves no identity behind
            self._registry.delete(key)
            raise

    def _create_or_update(self, key: str, entry: JsonObject, etag: str | None) -> None:
        if not self._registry.exists(key):
            self._create(key, entry)
        else:
            self._update(key, entry, etag)
            self._update_twin(key, entry, None)

    def _update(self, key: str, entry: JsonObject, etag: str | None) -> None:
        self._registry.update(key, _identity(entry), etag)

    def _update_twin(self, key: str, entry: JsonObject, etag: str | None) -> None:
        names = ("tags", "properties")
        patch = {name: entry[name] for name in names if entry.get(name) is not None}
        self._twins.update_desired(key, patch, etag)


def _identity(entry: JsonObject) -> JsonObject:
    return {name: entry[name] for name in _IDENTITY_NAMES if entry.get(name) is not None}


def _etag(entry: JsonObject, name: str) -> str:
    """Azure IoT Explorer writes `etag`, others `eTag`."""
    etag = {each.lower(): value for each, value in entry.items()}.get(name.lower())
    if not isinstance(etag, str):
        raise argument_invalid(f"The entry has no {name} to match.")
    return etag


def _told(entry: JsonObject, error: HubError, default_mode: str) -> JsonObject:
    return {
        "deviceId": entry.get("id"),
        "errorCode": error.name,
        "errorStatus": error.message,
        "moduleId": entry.get("moduleId"),
        "operation": entry.get("importMode") or default_mode,
    }
