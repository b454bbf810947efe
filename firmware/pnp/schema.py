"""Whether a JSON value fits a schema of the Digital Twins Definition Language.

A schema is the name of a primitive ("double") or a tuple of kind and content:
("Object", {field: schema}), ("Enum", (values,)), ("Map", schema), ("Array", schema).
Geospatial schemas are left out: no thermostat moves.

What arrives is hostile until proved otherwise. MicroPython's parser takes `1e999` (infinity),
integers of any length and keys that are no strings.

Source: Microsoft, Digital Twins Definition Language v2, "Schemas" and "Primitive schemas".
"""

import re

from micropython import const

_INTEGER_LIMIT = const(1 << 31)
_LONG_LIMIT = const(1 << 63)
# Largest finite single and double; a board whose floats are single turns the second into inf
_LARGEST_FLOAT = const(3.4028234e38)
_LARGEST_DOUBLE = const(1.7976931348623157e308)
# RFC 3339 §5.6, but the zone may be missing and a blank may stand for T. Which days a month
# has is left to whoever turns the text into a time. The longest that an SDK writes has 33
# characters; the bound also keeps the matcher's recursion shallow.
_LONGEST_DATE_TIME = const(40)
_DATE_TIME = re.compile(
    "^[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-5][0-9]:[0-6][0-9]"
    "(\\.[0-9]+)?([Zz]|[+-][0-2][0-9]:[0-5][0-9])?$"
)


def fault(schema, value):
    """Why `value` (parsed JSON) does not fit `schema`, as a short text; None if it fits."""
    if isinstance(schema, str):
        return None if _fits(schema, value) else "expected " + schema
    kind, content = schema
    if kind == "Enum":
        for allowed in content:
            # True is no 1 here, and 1.0 no 1
            if type(value) is type(allowed) and value == allowed:
                return None
    if kind == "Enum" or not isinstance(value, list if kind == "Array" else dict):
        return "expected " + kind
    for name in value:
        if kind == "Array":
            reason = fault(content, name)
        elif kind == "Map":
            reason = fault(content, value[name]) if isinstance(name, str) else "expected strings"
        else:
            reason = fault(content[name], value[name]) if name in content else "unknown"
            reason = reason and "%s: %s" % (name, reason)
        if reason:
            return reason
    return None


def _fits(kind, value):
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "integer" or kind == "long":
        limit = _INTEGER_LIMIT if kind == "integer" else _LONG_LIMIT
        return type(value) is int and -limit <= value < limit
    if kind == "float" or kind == "double":
        largest = _LARGEST_FLOAT if kind == "float" else _LARGEST_DOUBLE
        # Not-a-number compares false with both bounds, infinity lies outside. The difference is
        # not-a-number for an infinity that a board's coarser bound let through
        is_number = type(value) is int or type(value) is float
        return is_number and -largest <= value <= largest and value - value == 0
    if not isinstance(value, str) or kind != "dateTime":
        # "date", "time", "duration" are not looked into: nothing here is told a day or a duration
        return isinstance(value, str)
    found = _DATE_TIME.match(value) if len(value) <= _LONGEST_DATE_TIME else None
    # CPython's $ also matches before a final newline
    return found is not None and found.group(0) == value
