"""The way from one digital twin to the next, as the JSON Patch that its notification carries.

A component that was not there before is one operation; in one that was, each property is told
with its metadata first and its value then.
Source: the notifications that Microsoft's service developer guide prints.
"""

from __future__ import annotations

from host_tools.hub.state.digital_twin_view import digital_twin_view
from host_tools.hub.state.documents import Json, JsonObject
from host_tools.hub.state.twin_document import Twin

_METADATA = "$metadata"
_MISSING = object()


def digital_twin_changes(device_id: str, before: Twin, after: Twin) -> list[Json]:
    """JSON Patch operations; none if the view is the same."""
    old = digital_twin_view(device_id, before.model_id, before.desired, before.reported)
    new = digital_twin_view(device_id, after.model_id, after.desired, after.reported)
    operations: list[Json] = []
    components = [
        name for name, value in new.items() if name != _METADATA and _has_metadata(value)
    ]
    former = [name for name, value in old.items() if name != _METADATA and _has_metadata(value)]
    _compare(old, new, "", {*components, *former}, operations)
    for name in components:
        below = old.get(name)
        if name in former and isinstance(below, dict):
            _compare(below, _object(new[name]), f"/{_escape(name)}", set(), operations)
        else:
            operations.append(_add(f"/{_escape(name)}", new[name]))
    for name in former:
        if name not in components:
            operations.append({"op": "remove", "path": f"/{_escape(name)}"})
    return operations


def _compare(
    old: JsonObject, new: JsonObject, path: str, without: set[str], operations: list[Json]
) -> None:
    """The properties of one level."""
    old_marks, new_marks = _object(old.get(_METADATA)), _object(new.get(_METADATA))
    for name in [*new_marks, *(each for each in old_marks if each not in new_marks)]:
        if name in without or name == "$model":
            continue
        _compare_one(old_marks, new_marks, f"{path}/{_METADATA}", name, operations)
        _compare_one(old, new, path, name, operations)


def _compare_one(
    old: JsonObject, new: JsonObject, path: str, name: str, operations: list[Json]
) -> None:
    before, now = old.get(name, _MISSING), new.get(name, _MISSING)
    if now is _MISSING and before is not _MISSING:
        operations.append({"op": "remove", "path": f"{path}/{_escape(name)}"})
    elif now is not _MISSING and now != before:
        # As the service does, what changes is added too, not replaced
        operations.append(_add(f"{path}/{_escape(name)}", new[name]))


def _add(path: str, value: Json) -> Json:
    return {"op": "add", "path": path, "value": value}


def _has_metadata(value: Json) -> bool:
    return isinstance(value, dict) and _METADATA in value


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _escape(name: str) -> str:
    """Source: RFC 6901."""
    return name.replace("~", "~0").replace("/", "~1")
