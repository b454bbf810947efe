"""Values against schemas: what fits, what does not, and what only looks as if it did."""

import json

from expect import raises
from pnp.model import build_schema
from pnp.schema import fault

INFINITY = json.loads("1e999") if json.loads("1e999") else 0
NAN = INFINITY - INFINITY
HUGE = 10**400


def fits(schema, *values):
    for value in values:
        assert fault(schema, value) is None, (schema, value)


def misfits(schema, *values):
    for value in values:
        assert fault(schema, value), (schema, value)


def test_a_double_is_any_finite_number_but_no_boolean():
    fits("double", 0, -1, 21.5, 42, 1e300, -(10**18))
    misfits("double", True, False, None, "21", [21], {}, INFINITY, -INFINITY, NAN, HUGE, -HUGE)


def test_a_float_is_smaller():
    fits("float", 1e38, -1e38, 3)
    fits("double", 1.7976931348623157e308, -1.7976931348623157e308)
    misfits("float", 1e39, True, NAN, INFINITY, "1")


def test_an_integer_has_32_bits():
    fits("integer", 0, 2**31 - 1, -(2**31))
    misfits("integer", 2**31, -(2**31) - 1, 1.0, True, "1", None, HUGE, INFINITY)


def test_a_long_has_64_bits():
    fits("long", 2**63 - 1, -(2**63))
    misfits("long", 2**63, HUGE, 1.5, False)


def test_booleans_and_strings_are_what_they_say():
    fits("boolean", True, False)
    misfits("boolean", 0, 1, "true", None)
    fits("string", "", "text")
    misfits("string", 1, None, [], True)


def test_a_date_time_is_lenient_in_its_zone_and_fraction_only():
    fits(
        "dateTime",
        "2026-11-21T05:35:00Z",
        "2026-11-21T05:35:00.123456Z",
        "2026-11-21t05:35:00z",
        "2026-11-21 05:35:00",
        "2026-11-21T05:35:00.5",
        "2026-11-21T05:35:00.1234567+00:00",
        "2026-11-21T05:35:00-08:00",
    )
    misfits(
        "dateTime",
        "",
        "now",
        "2026-11-21",
        "2026-11-21T05:35",
        "2026-11-21T05:35:00Z\n",
        "2026-11-21T05:35:00+1",
        "2026-11-21T05:35:00.Z",
        "2026-21-21T05:35:00Z",
        "2026-11-21T05:35:00Z" + " " * 30,
        "2026-11-21T05:35:00." + "1" * 5000,
        "٢٠٢٦-11-21T05:35:00Z",
        1763703300,
        None,
        ["2026-11-21T05:35:00Z"],
    )


def test_an_object_takes_some_of_its_fields_and_no_others():
    schema = build_schema(
        {
            "@type": "Object",
            "fields": [{"name": "low", "schema": "double"}, {"name": "high", "schema": "double"}],
        }
    )
    fits(schema, {"low": 1, "high": 2.5}, {"low": 1}, {})
    misfits(schema, {"low": True}, {"low": None}, {"other": 1}, {1: 1}, [], "low", None)
    assert fault(schema, {"low": "1"}) == "low: expected double"


def test_an_enum_takes_its_values_by_type():
    values = [{"name": "off", "enumValue": 0}, {"name": "on", "enumValue": 1}]
    schema = build_schema({"@type": "Enum", "valueSchema": "integer", "enumValues": values})
    fits(schema, 0, 1)
    misfits(schema, 2, "on", True, 1.0, None, [1], {})


def test_maps_and_arrays_look_at_each_element():
    source = {
        "@type": "Map",
        "mapKey": {"name": "zone", "schema": "string"},
        "mapValue": {"name": "hours", "schema": {"@type": "Array", "elementSchema": "integer"}},
    }
    schema = build_schema(source)
    fits(schema, {}, {"a": []}, {"a": [1, 2], "b": [3]})
    misfits(schema, [], {"a": 1}, {"a": [1.5]}, {"a": [1, None]}, {1: []}, {None: []})


def test_what_dtdl_does_not_know_is_refused():
    for source in ("number", "Double", "point", 5, None, {"@type": "Union"}, ["double"], {}):
        with raises(TypeError, "unsupported schema"):
            build_schema(source)


def nested(kind, depth):
    source = "double"
    for _ in range(depth):
        if kind == "Array":
            source = {"@type": "Array", "elementSchema": source}
        elif kind == "Map":
            source = {"@type": "Map", "mapKey": {}, "mapValue": {"name": "v", "schema": source}}
        else:
            source = {"@type": "Object", "fields": [{"name": "f", "schema": source}]}
    return source


def test_schemas_end_at_the_depth_that_dtdl_allows():
    for kind in ("Array", "Map", "Object"):
        build_schema(nested(kind, 5))
        with raises(TypeError):
            build_schema(nested(kind, 6))
