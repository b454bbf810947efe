"""What a twin may hold: names, types, numbers, depth and sizes.

Source: Azure IoT Hub developer guide, "Understand and use device twins": format of tags and
properties, device twin size.
"""

from __future__ import annotations

import re

from host_tools.hub.state.documents import Json, JsonObject
from host_tools.hub.state.errors import argument_invalid

# All of them the service's own limits, so that what works here works there.
MAX_PROPERTIES_BYTES = 32 * 1024  # desired and reported, each
MAX_TAGS_BYTES = 8 * 1024
MAX_STRING_BYTES = 4 * 1024
MAX_KEY_BYTES = 1024
MAX_DEPTH = 10  # levels of objects below the section
MIN_INTEGER, MAX_INTEGER = -(1 << 52), (1 << 52) - 1

# Not the service's: lists within lists are bounded so that no recursion runs away.
_MAX_NESTING = 64

_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f.$ ]")


def check_values(section: JsonObject, name: str) -> None:
    """Names, types, numbers, strings and depth of a section or a patch of one.
    Raises: HubError 400004 naming the place."""
    _check_object(section, name, 0, 0)


def check_size(section: JsonObject, name: str, limit: int) -> None:
    """Raises: HubError 400004 when a whole section is larger than `limit` bytes."""
    size = size_bytes(section)
    if size > limit:
        raise argument_invalid(f"{name} has {size} bytes; {limit} are allowed.")


def size_bytes(value: Json) -> int:
    """The service's measure: names and strings by length in UTF-8, numbers 8, booleans 4."""
    if isinstance(value, dict):
        return sum(len(key.encode("utf-8")) + size_bytes(each) for key, each in value.items())
    if isinstance(value, list):
        return sum(size_bytes(each) for each in value)
    if isinstance(value, str):
        return len(value.encode("utf-8"))
    if isinstance(value, bool):
        return 4
    return 0 if value is None else 8


def _check_object(value: JsonObject, where: str, depth: int, nesting: int) -> None:
    if depth > MAX_DEPTH:
        raise argument_invalid(f"{where}: more than {MAX_DEPTH} levels of objects.")
    for key, each in value.items():
        _check_key(key, where)
        _check_value(each, f"{where}.{key}", depth, nesting + 1)


def _check_key(key: str, where: str) -> None:
    if not key or len(key.encode("utf-8")) > MAX_KEY_BYTES:
        raise argument_invalid(f"{where}: a name is empty or longer than {MAX_KEY_BYTES} bytes.")
    if _FORBIDDEN.search(key):
        raise argument_invalid(
            f"{where}: the name {key[:64]!r} holds a control character, '.', '$' or a space."
        )


def _check_value(value: Json, where: str, depth: int, nesting: int) -> None:
    if nesting > _MAX_NESTING:
        raise argument_invalid("Lists are nested too deeply.")
    if isinstance(value, dict):
        _check_object(value, where, depth + 1, nesting)
    elif isinstance(value, list):
        for each in value:
            _check_value(each, where, depth, nesting + 1)
    elif isinstance(value, str):
        if len(value.encode("utf-8")) > MAX_STRING_BYTES:
            raise argument_invalid(f"{where}: a string is longer than {MAX_STRING_BYTES} bytes.")
    elif isinstance(value, int) and not MIN_INTEGER <= value <= MAX_INTEGER:
        raise argument_invalid(f"{where}: an integer is out of range.")
