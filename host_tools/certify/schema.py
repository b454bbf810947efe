"""Values and DTDL schemas: whether one fits, one that does, one that does not.

Source: Microsoft, Digital Twins Definition Language v2, "Schemas".
"""

from __future__ import annotations

import datetime
from typing import Any

from host_tools.hub.digital_twins import schemas


def fits(schema: Any, value: Any) -> bool:
    """Whether `value` (of JSON) is one of `schema` (of parsed DTDL)."""
    return schemas.misfit(schema, value, "") is None


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
