"""The query language: what a text selects, and where a text that is none is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.hub.query.language import (
    MAX_QUERY_CHARS,
    QueryError,
    parse_condition,
    parse_query,
)

DEVICES = [
    {
        "deviceId": "one",
        "modelId": "dtmi:com:example:Thermostat;1",
        "connectionState": "Connected",
        "tags": {"location": {"plant": "Redmond43", "floor": 2}, "top": True},
        "properties": {
            "desired": {"targetTemperature": 21.5},
            "reported": {"connectivity": "cellular", "a b": 1, "empty": None, "list": [1]},
        },
    },
    {
        "deviceId": "two",
        "connectionState": "Disconnected",
        "tags": {"location": {"plant": "Redmond43", "floor": 1}, "quoted": "it's"},
        "properties": {"desired": {"targetTemperature": 19}, "reported": {"connectivity": "wifi"}},
    },
    {
        "deviceId": "three",
        "connectionState": "Connected",
        "tags": {"location": "nowhere", "top": "true"},
        "properties": {"desired": {}, "reported": {}},
    },
]


def ids(condition):
    query = parse_query(f"SELECT * FROM devices WHERE {condition}")
    return " ".join(each["deviceId"] for each in query.matching(DEVICES))


def rows(text):
    return list(parse_query(text).table(DEVICES))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("tags.location.plant = 'Redmond43'", "one two"),
        (
            "tags.location.plant = 'Redmond43' AND properties.reported.connectivity = 'cellular'",
            "one",
        ),
        ('deviceId = "two"', "two"),
        ("deviceId IN ['one', 'three']", "one three"),
        ("deviceId nin ['one', 'three']", "two"),
        ("deviceId IN []", ""),
        ("NOT deviceId IN ['one']", "two three"),
        ("properties.desired.targetTemperature >= 19.0", "one two"),
        ("properties.desired.targetTemperature < 2.1e1", "two"),
        ("properties.desired.targetTemperature <> 19", "one"),
        ("tags.location.floor + 1 * 2 = 4", "one"),
        ("(tags.location.floor + 1) * 2 = 4", "two"),
        ("tags.location.floor - 1 - 1 = 0", "one"),
        ("tags.location.floor % 2 = 1", "two"),
        ("-tags.location.floor < -1", "one"),
        ("tags.location.floor / 0 = 1", ""),
        ("tags.top = true", "one"),
        ("tags.top = 'true'", "three"),
        ("tags.top = 1", ""),
        ("tags.quoted = 'it\\'s'", "two"),
        ('tags.quoted = "it\'s"', "two"),
        ("properties.reported['a b'] = 1", "one"),
        ("properties.reported.empty = null", "one"),
        ("IS_DEFINED(properties.reported.connectivity)", "one two"),
        ("NOT is_defined(tags.location.floor)", "three"),
        # Three-valued: what is not there is neither equal nor unequal
        ("tags.location.floor != 2", "two"),
        ("NOT tags.location.floor = 2", "two"),
        ("tags.location.floor = 2 OR deviceId = 'three'", "one three"),
        ("NOT (tags.location.floor = 2 AND deviceId = 'three')", "one two"),
        # As az iot and Azure IoT Explorer write them
        ("devices.deviceId = 'one'", "one"),
        ("Devices.tags.location.floor = 1", "two"),
        ("devices.modules.deviceId = 'one'", "one"),
        ("IS_DEFINED(devices.tags.quoted)", "two"),
        ("STARTSWITH(devices.deviceId, 't')", "two three"),
        ("NOT startswith(deviceId, 't')", "one"),
        ("STARTSWITH(tags.location.floor, '2') OR STARTSWITH(deviceId, 2)", ""),
        ("NOT STARTSWITH(tags.quoted, 'x')", "two"),
        # Only primitives are compared
        ("tags.location = tags.location", "three"),
        ("properties.reported.list = properties.reported.list", ""),
        ("connectionState = 'Connected' or deviceId = 'two' and tags.top = true", "one three"),
        ("tags.location.plant", ""),
    ],
)
def test_a_condition_selects(condition, expected):
    assert ids(condition) == expected


def test_keywords_are_names_behind_a_dot_and_in_any_case_elsewhere():
    assert rows("sElEcT tags.top As t FrOm devices wHeRe deviceId = 'one';") == [{"t": True}]


def test_columns_are_named_after_their_last_part_or_alias_and_left_out_where_undefined():
    found = rows("SELECT deviceId, tags.location.floor, tags.location.plant AS p FROM devices")
    assert found == [
        {"deviceId": "one", "floor": 2, "p": "Redmond43"},
        {"deviceId": "two", "floor": 1, "p": "Redmond43"},
        {"deviceId": "three"},
    ]


def test_paths_may_begin_with_the_source_everywhere():
    text = (
        "SELECT devices.connectionState, COUNT(devices.modelId) AS n FROM devices "
        "WHERE devices.deviceId != 'x' GROUP BY devices.connectionState"
    )
    assert rows(text) == [
        {"connectionState": "Connected", "n": 1},
        {"connectionState": "Disconnected", "n": 0},
    ]
    modules = parse_query("select * from devices.modules where devices.deviceId = 'one'")
    assert list(modules.matching(DEVICES)) == DEVICES[:1]
    assert rows("SELECT devices FROM devices WHERE deviceId = 'one'") == [{}]


def test_aggregates_ignore_what_is_no_number():
    text = (
        "SELECT COUNT() AS n, COUNT(tags.location.floor) AS f, AVG(tags.location.floor) AS a, "
        "SUM(tags.location.floor) AS s, MIN(tags.top) AS none, max(tags.location.floor) "
        "FROM devices"
    )
    assert rows(text) == [{"n": 3, "f": 2, "a": 1.5, "s": 3, "none": None, "$6": 2}]


def test_an_aggregate_over_nothing_is_one_row_and_groups_of_nothing_are_none():
    assert rows("SELECT COUNT() AS n FROM devices WHERE deviceId = 'x'") == [{"n": 0}]
    nothing = "SELECT deviceId, COUNT() FROM devices WHERE deviceId = 'x' GROUP BY deviceId"
    assert rows(nothing) == []


def test_groups_tell_types_apart():
    text = "SELECT tags.top, COUNT() AS n FROM devices GROUP BY tags.top"
    assert rows(text) == [{"top": True, "n": 1}, {"n": 1}, {"top": "true", "n": 1}]


def test_top_bounds_a_table():
    assert rows("SELECT TOP 2 deviceId FROM devices") == [{"deviceId": "one"}, {"deviceId": "two"}]
    assert parse_query("SELECT TOP 7 * FROM devices").top == 7


def test_sources():
    assert parse_query("SELECT * FROM devices.modules").source == "devices.modules"
    assert parse_query("SELECT * FROM DEVICES.JOBS").source == "devices.jobs"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "At character 1: the end is not understood; expected SELECT."),
        ("SELECT * FROM devices WHERE", "At character 28: the end"),
        ("SELECT * FROM devices WHERE a = 'x", "At character 33"),
        ("SELECT * FROM devices; x", "At character 24: 'x' is not understood; expected the end."),
        ("SELECT * FROM devices WHERE a = 5 5", "At character 35: '5'"),
        ("SELECT * FROM devices ORDER BY a", "At character 23: 'ORDER'"),
        ("SELECT * FROM rooms", "FROM 'rooms' is not known"),
        ("SELECT * FROM devices WHERE STARTS_WITH(a, 'b')", "At character 29: the function"),
        ("SELECT * FROM devices WHERE STARTSWITH(a)", "At character 29: the function"),
        ("SELECT MEDIAN(a) FROM devices", "At character 8: the function MEDIAN"),
        ("SELECT SUM() FROM devices", "SUM needs a path"),
        ("SELECT deviceId FROM devices.jobs", "only be asked for with SELECT *"),
        ("SELECT * FROM devices GROUP BY a", "GROUP BY needs a select list"),
        ("SELECT TOP 1.5 * FROM devices", "At character 12"),
        ("SELECT * FROM devices WHERE a = 1" + " " * MAX_QUERY_CHARS, "more than 8192"),
        ("SELECT * FROM devices WHERE " + "NOT " * 2000 + "a", "nested too deeply"),
        ("SELECT * FROM devices WHERE " + "(" * 4000 + "a" + ")" * 4000, "nested too deeply"),
        ("SELECT * FROM devices WHERE a = '\x00'", "At character"),
    ],
)
def test_what_is_no_query_is_told_with_its_place(text, expected):
    with pytest.raises(QueryError) as told:
        parse_query(text)
    assert expected in str(told.value)


def test_long_chains_are_no_depth():
    assert ids("deviceId = 'one'" + " OR deviceId = 'x'" * 400) == "one"
    assert ids("tags.location.floor" + "+1" * 4000 + " = 4002") == "one"


def test_a_condition_alone_as_jobs_have_it():
    condition = parse_condition("tags.location.floor = 1")
    assert [condition(each) is True for each in DEVICES] == [False, True, False]
    assert parse_condition("*")(DEVICES[0]) is True
    with pytest.raises(QueryError):
        parse_condition("SELECT * FROM devices")


WORDS = st.sampled_from(
    "SELECT TOP FROM devices WHERE GROUP BY AS AND OR NOT IN NIN tags . a ( ) [ ] , * = < - + 1 "
    "'x' \" ' ; COUNT IS_DEFINED null true é \x00".split(" ")
)


@given(st.lists(WORDS, max_size=30), st.sampled_from([" ", ""]))
def test_any_text_is_a_query_or_a_query_error(words, between):
    try:
        query = parse_query(between.join(words))
    except QueryError as error:
        assert str(error)
        return
    list(query.matching(DEVICES) if query.is_whole else query.table(DEVICES))


@given(st.lists(WORDS, max_size=20))
def test_any_condition_can_be_run_once_it_is_read(words):
    text = "SELECT * FROM devices WHERE a = 1 AND " + " ".join(words)
    try:
        query = parse_query(text)
    except QueryError:
        return
    assert len(list(query.matching(DEVICES))) <= len(DEVICES)
