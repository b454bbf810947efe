"""JSON Patch as Azure Digital Twins takes it: add, replace and remove, in an object.

`replace` and `remove` of what is not there are refused; what the service does then is not
confirmed, but for the time at which a value was measured: that one may be replaced before there
is any. Source: RFC 6901, RFC 6902; Azure Digital Twins, "Manage digital twins".
"""

from __future__ import annotations

import copy
from typing import NamedTuple

from host_tools.hub.digital_twins.errors import GraphError, patch_invalid
from host_tools.hub.state.documents import Json, JsonObject

MAX_OPERATIONS = 1000  # more than a twin of 32 KB has places; bounds the work of one call
MAX_DEPTH = 12
_KINDS = ("add", "replace", "remove")


class Operation(NamedTuple):
    """`path` is split and unescaped."""

    kind: str
    path: tuple[str, ...]
    value: Json

    def described(self) -> JsonObject:
        """As notifications print it."""
        names = (name.replace("~", "~0").replace("/", "~1") for name in self.path)
        found: JsonObject = {"op": self.kind, "path": "/" + "/".join(names)}
        return found if self.kind == "remove" else {**found, "value": self.value}


def parse_patch(document: Json, least: int = 1) -> list[Operation]:
    """Raises: GraphError JsonPatchInvalid."""
    if not isinstance(document, list) or not least <= len(document) <= MAX_OPERATIONS:
        raise patch_invalid(f"A JSON Patch is an array of {least} to {MAX_OPERATIONS} operations.")
    return [_parse_operation(each, f"operation {at}") for at, each in enumerate(document)]


def is_source_time(path: tuple[str, ...]) -> bool:
    """Whether it is `/$metadata/X/sourceTime`, of a twin or in a component."""
    return "$metadata" in path[:2] and path[-3::2] == ("$metadata", "sourceTime")


def apply_patch(document: JsonObject, operations: list[Operation]) -> JsonObject:
    """A changed copy of `document`. Raises: GraphError JsonPatchInvalid."""
    changed = copy.deepcopy(document)
    for operation in operations:
        _apply(changed, operation)
    return changed


def _apply(document: JsonObject, operation: Operation) -> None:
    node: Json = document
    is_new_time = operation.kind != "remove" and is_source_time(operation.path)
    for name in operation.path[:-1]:
        if is_new_time and isinstance(node, dict):
            node.setdefault(name, {})
        node = node.get(name) if isinstance(node, dict) else None
    if not isinstance(node, dict):
        raise _refused(operation, "its parent is not an object that exists")
    name = operation.path[-1]
    if operation.kind != "add" and name not in node and not is_new_time:
        raise _refused(operation, "there is no value yet; use add")
    if operation.kind == "remove":
        del node[name]
    else:
        node[name] = copy.deepcopy(operation.value)


def _parse_operation(document: Json, where: str) -> Operation:
    if not isinstance(document, dict):
        raise patch_invalid(f"{where} is not an object.")
    kind, path = document.get("op"), document.get("path")
    if kind not in _KINDS:
        raise patch_invalid(f"{where}: op is not add, replace or remove.")
    if not isinstance(path, str) or not path.startswith("/") or len(path) == 1:
        raise patch_invalid(f"{where}: path is not '/' and a name.")
    if kind != "remove" and document.get("value") is None:
        raise patch_invalid(f"{where}, {path[:200]}: value is absent or null; use remove.")
    names = tuple(
        each.replace("~1", "/").replace("~0", "~") for each in path.removeprefix("/").split("/")
    )
    if len(names) > MAX_DEPTH or not all(names):
        raise patch_invalid(f"{where}: {path[:200]} is not a path of at most {MAX_DEPTH} names.")
    return Operation(str(kind), names, document.get("value"))


def _refused(operation: Operation, reason: str) -> GraphError:
    return patch_invalid("/{}: {}.".format("/".join(operation.path), reason))
