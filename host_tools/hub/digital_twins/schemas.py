"""Values and DTDL schemas: what of a value does not fit, and where.

Source: Microsoft, Digital Twins Definition Language v2, "Schemas"; "Azure Digital Twins service
limits" (length of a text).
"""

from __future__ import annotations

import re

from host_tools.hub.state.documents import Json, JsonObject

MAX_TEXT_BYTES = 4096
GEOSPATIAL = frozenset(
    ("point", "multiPoint", "lineString", "multiLineString", "polygon", "multiPolygon")
)
PRIMITIVE = frozenset(
    ("boolean", "date", "dateTime", "double", "duration", "float", "integer", "long", "string")
    + ("time",)
)
_TEXTS = {
    "date": re.compile(r"\d{4}-\d\d-\d\d", re.ASCII),
    "dateTime": re.compile(
        r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII
    ),
    "duration": re.compile(
        r"P(?=.)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?([\d.]+S)?)?", re.ASCII
    ),
    "time": re.compile(r"\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII),
}
_BITS = {"integer": 31, "long": 63}


def misfit(schema: Json, value: Json, where: str) -> str | None:
    """Why `value`, which lies at `where`, is not one of `schema` (of parsed DTDL); None if it
    is, and for a kind of schema that is not known here."""
    if isinstance(schema, str):
        return _primitive_misfit(schema, value, where)
    assert isinstance(schema, dict)
    check = _COMPLEX.get(str(schema.get("@type")))
    return None if check is None else check(schema, value, where)


def _primitive_misfit(schema: str, value: Json, where: str) -> str | None:
    if not _fits_primitive(schema, value):
        return f"{where} is not of schema {schema}"
    if isinstance(value, str) and len(value.encode("utf-8")) > MAX_TEXT_BYTES:
        return f"{where} is longer than {MAX_TEXT_BYTES} bytes"
    return None


def _fits_primitive(schema: str, value: Json) -> bool:
    if schema == "boolean":
        return isinstance(value, bool)
    if schema in _BITS:
        limit = 1 << _BITS[schema]
        return isinstance(value, (int, float)) and _is_whole(value) and -limit <= value < limit
    if schema in ("float", "double"):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if schema in GEOSPATIAL:
        return isinstance(value, dict) and str(value.get("type")).lower() == schema.lower()
    if not isinstance(value, str):
        return False
    return schema not in _TEXTS or _TEXTS[schema].fullmatch(value) is not None


def _is_whole(value: Json) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


def _object_misfit(schema: JsonObject, value: Json, where: str) -> str | None:
    if not isinstance(value, dict):
        return f"{where} is not an object"
    fields = {each["name"]: each["schema"] for each in _entries(schema, "fields")}
    for name, each in value.items():
        if name not in fields:
            return f"{where}/{name} is not a field of its schema"
        if reason := misfit(fields[name], each, f"{where}/{name}"):
            return reason
    return None


def _enum_misfit(schema: JsonObject, value: Json, where: str) -> str | None:
    values = [each["enumValue"] for each in _entries(schema, "enumValues")]
    if isinstance(value, bool) or value not in values:
        return f"{where} is not one of {', '.join(str(each) for each in values)}"
    return None


def _map_misfit(schema: JsonObject, value: Json, where: str) -> str | None:
    if not isinstance(value, dict):
        return f"{where} is not an object"
    inner = schema["mapValue"]
    assert isinstance(inner, dict)
    reasons = (misfit(inner["schema"], each, f"{where}/{key}") for key, each in value.items())
    return next((reason for reason in reasons if reason), None)


def _array_misfit(schema: JsonObject, value: Json, where: str) -> str | None:
    if not isinstance(value, list):
        return f"{where} is not an array"
    inner = schema["elementSchema"]
    reasons = (misfit(inner, each, f"{where}/{at}") for at, each in enumerate(value))
    return next((reason for reason in reasons if reason), None)


_COMPLEX = {
    "Object": _object_misfit,
    "Enum": _enum_misfit,
    "Map": _map_misfit,
    "Array": _array_misfit,
}


def _entries(schema: JsonObject, name: str) -> list[JsonObject]:
    found = schema[name]
    assert isinstance(found, list)
    return [each for each in found if isinstance(each, dict)]
