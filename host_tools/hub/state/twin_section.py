"""One section of a twin: its data, the metadata that mirrors it, and its version."""

from __future__ import annotations

from dataclasses import dataclass

from host_tools.hub.state.documents import NEVER, Json, JsonObject

LAST_UPDATED = "$lastUpdated"
LAST_UPDATED_VERSION = "$lastUpdatedVersion"


@dataclass(frozen=True)
class Section:
    """Never changed in place: a write makes another."""

    data: JsonObject
    metadata: JsonObject
    version: int

    @classmethod
    def fresh(cls) -> Section:
        return cls({}, {LAST_UPDATED: NEVER}, 1)

    def merged(self, patch: JsonObject, time: str, versioned: bool) -> Section:
        """Objects merge, null deletes, anything else replaces. Every level that was touched is
        stamped with `time`, and with the new version if `versioned` (desired)."""
        mark = self._mark(time, versioned)
        data, metadata = _merge(self.data, self.metadata, patch, mark)
        return Section(data, metadata, self.version + 1)

    def replaced(self, data: JsonObject, time: str, versioned: bool) -> Section:
        """All of the section anew; nulls stand for nothing."""
        mark = self._mark(time, versioned)
        fresh, metadata = _merge({}, {}, data, mark)
        return Section(fresh, metadata, self.version + 1)

    def service_view(self) -> JsonObject:
        return {**self.data, "$metadata": self.metadata, "$version": self.version}

    def device_view(self) -> JsonObject:
        return {**self.data, "$version": self.version}

    def described(self, patch: JsonObject) -> JsonObject:
        """The patch that led here, with the metadata of what it touched, and the version."""
        metadata = _only(self.metadata, patch)
        return {**patch, "$metadata": metadata, "$version": self.version}

    def to_document(self) -> JsonObject:
        return {"data": self.data, "metadata": self.metadata, "version": self.version}

    @classmethod
    def from_document(cls, document: Json) -> Section:
        assert isinstance(document, dict)
        data, metadata, version = document["data"], document["metadata"], document["version"]
        assert isinstance(data, dict)
        assert isinstance(metadata, dict)
        assert isinstance(version, int)
        return cls(data, metadata, version)

    def _mark(self, time: str, versioned: bool) -> JsonObject:
        if versioned:
            return {LAST_UPDATED: time, LAST_UPDATED_VERSION: self.version + 1}
        return {LAST_UPDATED: time}


def merged_tags(tags: JsonObject, patch: JsonObject) -> JsonObject:
    """Tags merge as sections do, but carry no metadata."""
    return _merge(tags, {}, patch, {})[0]


def _only(metadata: JsonObject, patch: JsonObject) -> JsonObject:
    """The metadata of what the patch names, and of what leads there."""
    found: JsonObject = {key: value for key, value in metadata.items() if key.startswith("$last")}
    for key, value in patch.items():
        below = metadata.get(key)
        if isinstance(below, dict):
            found[key] = _only(below, value) if isinstance(value, dict) else below
    return found


def _merge(
    data: JsonObject, metadata: JsonObject, patch: JsonObject, mark: JsonObject
) -> tuple[JsonObject, JsonObject]:
    data, metadata = dict(data), {**metadata, **mark}
    for key, value in patch.items():
        if value is None:
            data.pop(key, None)
            metadata.pop(key, None)
        elif isinstance(value, dict):
            data[key], metadata[key] = _merge(*_child(data, metadata, key), value, mark)
        else:
            data[key], metadata[key] = value, dict(mark)
    return data, metadata


def _child(data: JsonObject, metadata: JsonObject, key: str) -> tuple[JsonObject, JsonObject]:
    """The object under `key` with its metadata; empty where there is none to merge into."""
    child, marks = data.get(key), metadata.get(key)
    if not isinstance(child, dict):
        return {}, {}
    return child, marks if isinstance(marks, dict) else {}
