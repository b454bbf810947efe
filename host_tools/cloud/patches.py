"""`PATH=VALUE` words as JSON patches: what people type for a twin."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from host_tools.service import ServiceError

_DEEPEST = 10


def parse_value(text: str) -> Any:
    """JSON where it is that, else the text as it is: 21, true, null, "21", {"a": 1}, kitchen."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def build_patch(words: Iterable[str]) -> dict[str, Any]:
    """One patch of all `PATH=VALUE`, a path being names joined by dots.

    Raises ServiceError for a word that is none, or two that exclude each other.
    """
    patch: dict[str, Any] = {}
    for word in words:
        path, equals, value = word.partition("=")
        names = path.split(".")
        if not equals or not all(names) or len(names) > _DEEPEST:
            raise ServiceError(
                f"{word} is not understood; write PATH=VALUE, as in "
                "thermostat1.targetTemperature=21.5"
            )
        _put(patch, names, parse_value(value), word)
    return patch


def _put(patch: dict[str, Any], names: list[str], value: Any, word: str) -> None:
    for name in names[:-1]:
        patch = patch.setdefault(name, {})
        if not isinstance(patch, dict):
            raise ServiceError(f"{word} contradicts another word; give each path once")
    if names[-1] in patch:
        raise ServiceError(f"{word} contradicts another word; give each path once")
    patch[names[-1]] = value


def mark_components(patch: dict[str, Any], reported: dict[str, Any]) -> dict[str, Any]:
    """`patch` with the mark `"__t": "c"` in each object that the device reports as a component.

    Source: Microsoft, "IoT Plug and Play conventions", "Sample multiple components".
    """
    marked = {}
    for name, value in patch.items():
        known = reported.get(name)
        is_component = isinstance(known, dict) and known.get("__t") == "c"
        if is_component and isinstance(value, dict):
            value = {"__t": "c", **value}
        marked[name] = value
    return marked


def changes(before: Any, after: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """(path, old, new) of all leaves that differ; None is absent. `$…` members are left out."""
    one, other = ({} if each is None else each for each in (before, after))
    if not (isinstance(one, dict) and isinstance(other, dict)) or not (one or other):
        return [] if before == after else [(path, before, after)]
    found = []
    for name in sorted({*one, *other}):
        if name.startswith("$"):
            continue
        below = f"{path}.{name}" if path else name
        found += changes(one.get(name), other.get(name), below)
    return found
