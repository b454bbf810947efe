"""Values and DTDL schemas: whether one fits, one that does, one that does not.

Source: Microsoft, Digital Twins Definition Language v2, "Schemas".
"""

from __future__ import annotations

import datetime
import re
from typing import Any

_DATE_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(r"\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)
_DURATION = re.compile(r"P(?=.)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?([\d.]+S)?)?")
_TEXTS = {"dateTime": _DATE_TIME, "date": _DATE, "time": _TIME, "duration": _DURATION}
_BITS = {"integer": 31, "long": 63}


def fits(schema: Any, value: Any) -> bool:
    """Whether `value` (of JSON) is one of `schema` (of parsed DTDL)."""
    if isinstance(schema, str):
        return _fits_primitive(schema, value)
    kind = schema.get("@type")
    if kind == "Object":
        fields = {each["name"]: each["schema"] for each in schema["fields"]}
        return (
            isinstance(value, dict)
            and set(value) <= set(fields)
            and all(fits(fields[name], each) for name, each in value.items())
        )
    if kind == "Enum":
        return value in [each["enumValue"] for each in schema["enumValues"]]
    if kind == "Map":
        inner = schema["mapValue"]["schema"]
        return isinstance(value, dict) and all(fits(inner, each) for each in value.values())
    if kind == "Array":
        return isinstance(value, list) and all(
            fits(schema["elementSchema"], each) for each in value
        )
    return True  # of a kind that is not known here


def _fits_primitive(schema: str, value: Any) -> bool:
    if schema == "boolean":
        return isinstance(value, bool)
    if schema in _BITS:
        bound = 1 << _BITS[schema]
        is_whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        return is_whole and not isinstance(value, bool) and -bound <= value < bound
    if schema in ("float", "double"):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if not isinstance(value, str):
        return False
    return schema not in _TEXTS or _TEXTS[schema].fullmatch(value) is not None


def example(schema: Any) -> Any:
    """A value that fits. A time is a minute ago, a number a small one."""
    now = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1)
    if isinstance(schema, str):
        return {
            "boolean": True,
            "integer": 1,
            "long": 1,
            "float": 1.5,
            "double": 1.5,
            "dateTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "date": now.strftime("%Y-%m-%d"),
            "time": now.strftime("%H:%M:%S"),
            "duration": "PT1M",
        }.get(schema, "text")
    kind = schema.get("@type")
    if kind == "Object":
        return {each["name"]: example(each["schema"]) for each in schema["fields"]}
    if kind == "Enum":
        return schema["enumValues"][0]["enumValue"]
    if kind == "Map":
        return {"key": example(schema["mapValue"]["schema"])}
    return [example(schema["elementSchema"])] if kind == "Array" else None


def misfit(schema: Any) -> Any:
    """A value that does not fit, whatever `schema` is: no schema has both texts and arrays."""
    value: Any = ["not", "this"]
    return {"not": "this"} if fits(schema, value) else value
