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
        return None if PRIMITIVES[schema](value) else "expected " + schema
    return _COMPLEX[schema[0]](schema[1], value)


def _is_whole(value, limit):
    return isinstance(value, int) and not isinstance(value, bool) and -limit <= value < limit


def _is_number(value, largest):
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    # Not-a-number compares false with both, infinity lies outside
    return -largest <= value <= largest


def _is_double(value):
    # The difference is not-a-number for an infinity that a board's coarser bound let through
    return _is_number(value, _LARGEST_DOUBLE) and value - value == 0


def _is_text(value):
    return isinstance(value, str)


def _is_date_time(value):
    if not isinstance(value, str) or len(value) > _LONGEST_DATE_TIME:
        return False
    found = _DATE_TIME.match(value)
    # CPython's $ also matches before a final newline
    return found is not None and found.group(0) == value


def _object_fault(fields, value):
    if not isinstance(value, dict):
        return "expected Object"
    for name in value:
        if name not in fields:
            return "no such field"
        reason = fault(fields[name], value[name])
        if reason:
            return "%s: %s" % (name, reason)
    return None


def _enum_fault(values, value):
    for allowed in values:
        # True is no 1 here, and 1.0 no 1
        if type(value) is type(allowed) and value == allowed:
            return None
    return "expected one of the Enum"


def _map_fault(schema, value):
    if not isinstance(value, dict):
        return "expected Map"
    for name in value:
        reason = fault(schema, value[name]) if isinstance(name, str) else "expected string keys"
        if reason:
            return reason
    return None


def _array_fault(schema, value):
    if not isinstance(value, list):
        return "expected Array"
    for element in value:
        reason = fault(schema, element)
        if reason:
            return reason
    return None


PRIMITIVES = {
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: _is_whole(value, _INTEGER_LIMIT),
    "long": lambda value: _is_whole(value, _LONG_LIMIT),
    "float": lambda value: _is_number(value, _LARGEST_FLOAT),
    "double": _is_double,
    "string": _is_text,
    "dateTime": _is_date_time,
    # Carried as text and not looked into: nothing here is told a day or a duration
    "date": _is_text,
    "time": _is_text,
    "duration": _is_text,
}
_COMPLEX = {
    "Object": _object_fault,
    "Enum": _enum_fault,
    "Map": _map_fault,
    "Array": _array_fault,
}
