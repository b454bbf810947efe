"""A JSON Patch on a digital twin, turned into desired properties.

Source: Azure IoT documentation, "Manage IoT Plug and Play digital twins"; RFC 6901 (paths),
RFC 6902 (patches).
"""

from __future__ import annotations

import copy
import re
from typing import NamedTuple

from host_tools.hub.state.digital_twin_view import MARKER, is_component
from host_tools.hub.state.documents import Json, JsonObject
from host_tools.hub.state.errors import HubError, argument_invalid, digital_twin_patch_invalid

MAX_OPERATIONS = 1000  # far more than a model has properties; bounds the work of one call
MAX_PATH_DEPTH = 5  # DTDL's own depth of nested schemas
_NAME = re.compile(r"[A-Za-z](?:[A-Za-z0-9_]{0,62}[A-Za-z0-9])?")


def desired_patch(operations: Json, desired: JsonObject, reported: JsonObject) -> JsonObject:
    """The twin patch that a JSON Patch on the digital twin amounts to.

    Raises: HubError 400505 (not a patch that fits), 400004 (the twin is not conformant there).
    """
    editor = _Editor(desired, reported)
    for operation in _parse_operations(operations):
        editor.apply(operation)
    return editor.patch()


class _Operation(NamedTuple):
    kind: str
    path: tuple[str, ...]
    value: Json


class _Editor:
    """Applies operations to a copy of desired, and remembers where."""

    def __init__(self, desired: JsonObject, reported: JsonObject) -> None:
        self._before = desired
        self._reported = reported
        self._after = copy.deepcopy(desired)
        self._touched: set[tuple[str, ...]] = set()

    def apply(self, operation: _Operation) -> None:
        root = operation.path[0]
        if len(operation.path) == 1:
            value = self._root_value(root, operation)
            parent = self._after
        else:
            value = _property_value(operation)
            parent = self._parent(operation.path)
        self._touched.add(operation.path)
        if operation.kind != "remove":
            parent[operation.path[-1]] = value
        elif parent.pop(operation.path[-1], None) is None:
            raise _refused(operation.path, "there is no desired value to remove")

    def patch(self) -> JsonObject:
        patch: JsonObject = {}
        for path in self._touched:
            # Where something above was touched too, its replacement says all there is to say.
            if not any(path[:length] in self._touched for length in range(1, len(path))):
                _put(patch, path, _replacement(_at(self._before, path), _at(self._after, path)))
        return patch

    def _root_value(self, name: str, operation: _Operation) -> Json:
        value = operation.value
        if operation.kind == "remove":
            return None
        if isinstance(value, dict) and "$metadata" in value:
            if self._is_known(name) and not self._is_component(name):
                raise _not_conformant(name)
            return {MARKER: "c", **_component_value(name, value)}
        if self._is_component(name):
            raise _refused((name,), "a component's value has to contain $metadata")
        return _property_value(operation)

    def _parent(self, path: tuple[str, ...]) -> JsonObject:
        """The object that holds the last name of `path`; a component is made when missing."""
        name = path[0]
        if self._is_component(name) or not self._is_known(name):
            component = self._after.setdefault(name, {})
            if isinstance(component, dict):
                component[MARKER] = "c"
                self._touched.add((name, MARKER))
        elif not isinstance(self._after.get(name), dict):
            raise _not_conformant(name)
        node: Json = self._after
        for step in path[:-1]:
            node = node.get(step) if isinstance(node, dict) else None
        if not isinstance(node, dict):
            raise _refused(path, "its parent is not an object that exists")
        return node

    def _is_known(self, name: str) -> bool:
        return name in self._after or name in self._reported

    def _is_component(self, name: str) -> bool:
        return is_component(self._after.get(name)) or is_component(self._reported.get(name))


def _parse_operations(operations: Json) -> list[_Operation]:
    if not isinstance(operations, list) or not 1 <= len(operations) <= MAX_OPERATIONS:
        raise digital_twin_patch_invalid("A JSON Patch is a list of operations, at least one.")
    return [_parse_operation(each) for each in operations]


def _parse_operation(document: Json) -> _Operation:
    if not isinstance(document, dict):
        raise digital_twin_patch_invalid("An operation is an object.")
    kind, path = document.get("op"), document.get("path")
    if kind not in ("add", "replace", "remove"):
        raise digital_twin_patch_invalid("op is not add, replace or remove.")
    if not isinstance(path, str) or not path.startswith("/"):
        raise digital_twin_patch_invalid("path does not begin with '/'.")
    if kind != "remove" and document.get("value") is None:
        raise digital_twin_patch_invalid("value is absent or null; use remove.")
    names = tuple(
        each.replace("~1", "/").replace("~0", "~") for each in path.removeprefix("/").split("/")
    )
    if len(names) > MAX_PATH_DEPTH or not all(_NAME.fullmatch(name) for name in names):
        raise digital_twin_patch_invalid(f"{path[:200]!r} is not a path of DTDL names.")
    # A copy: later operations change it, and the caller's document is the caller's.
    return _Operation(str(kind), names, copy.deepcopy(document.get("value")))


def _property_value(operation: _Operation) -> Json:
    value = operation.value
    if isinstance(value, dict) and "$metadata" in value:
        raise _refused(operation.path, "a component lies at the root")
    return value


def _component_value(name: str, value: JsonObject) -> JsonObject:
    if not isinstance(value["$metadata"], dict):
        raise _refused((name,), "$metadata is not an object")
    return {key: each for key, each in value.items() if key not in ("$metadata", MARKER)}


def _at(document: JsonObject, path: tuple[str, ...]) -> Json:
    node: Json = document
    for step in path:
        node = node.get(step) if isinstance(node, dict) else None
    return node


def _replacement(before: Json, after: Json) -> Json:
    """The merge patch that turns `before` into `after`, repeating what is equal: a value that
    is written again has to be acknowledged again."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return after
    patch: JsonObject = {key: None for key in before if key not in after}
    for key, value in after.items():
        patch[key] = _replacement(before.get(key), value)
    return patch


def _put(patch: JsonObject, path: tuple[str, ...], value: Json) -> None:
    for step in path[:-1]:
        node = patch.setdefault(step, {})
        assert isinstance(node, dict)
        patch = node
    patch[path[-1]] = value


def _refused(path: tuple[str, ...], reason: str) -> HubError:
    return digital_twin_patch_invalid("/{}: {}.".format("/".join(path), reason))


def _not_conformant(name: str) -> HubError:
    return argument_invalid(
        f"'{name}' exists within the device twin and is not digital twin conformant property."
    )
