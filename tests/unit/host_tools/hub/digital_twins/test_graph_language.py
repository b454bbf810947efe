"""Queries of the graph and filters of its routes: what fulfils them, what is refused, and why."""

import pytest
from doubles.graph_in_memory import BASE, FLOOR, MODELS, ROOM, interface, make_graph

from host_tools.hub.digital_twins.conditions import MAX_CHOICES
from host_tools.hub.digital_twins.errors import GraphError
from host_tools.hub.digital_twins.language import (
    MAX_CHARS,
    MAX_JOINS,
    MAX_SIGNS,
    parse_filter,
    parse_query,
)

THING = "dtmi:com:test:Thing;1"
THING_MODEL = interface(
    THING,
    {"@type": "Property", "name": "text", "schema": "string"},
    {"@type": "Property", "name": "size", "schema": "double"},
    {"@type": "Property", "name": "is", "schema": "boolean"},
    {
        "@type": "Property",
        "name": "inner",
        "schema": {"@type": "Object", "fields": [{"name": "deep", "schema": "long"}]},
    },
)


@pytest.fixture(scope="module")
def graph():
    graph = make_graph()
    graph.models.upload([*MODELS, THING_MODEL])
    things = {"text": "Abc", "size": 2.5, "is": True, "inner": {"deep": 3}}
    graph.put_twin("full", {"$metadata": {"$model": THING}, **things})
    graph.put_twin("empty", {"$metadata": {"$model": THING}})
    graph.put_twin("floor", {"$metadata": {"$model": FLOOR}})
    graph.put_twin("room", {"$metadata": {"$model": ROOM}})
    graph.put_relationship("floor", "r", {"$relationshipName": "contains", "$targetId": "room"})
    return graph


def ids(graph, condition):
    rows = graph.query(f"SELECT * FROM DIGITALTWINS T WHERE {condition}")
    return {row.document["$dtId"] for row in rows}


@pytest.mark.parametrize(
    "condition",
    [
        "STARTSWITH(T.text, 'A')",
        "ENDSWITH(text, 'bc')",
        "CONTAINS(T.text, 'b')",
        "IS_DEFINED(T.text)",
        "IS_BOOL(T.is)",
        "IS_NUMBER(T.size)",
        "IS_STRING(T.text)",
        "IS_OBJECT(T.inner)",
        "IS_PRIMITIVE(T.size)",
        "is_string(T.text) AND NOT IS_NULL(T.size)",
        "T.is = true",
        "T.is != false",
        "T.inner.deep = 3",
        "T.size > 2 AND T.size < 2.6e0",
        "T.text IN ['x', 'Abc']",
        "T.text NIN ['x', 'y']",
        "(T.text = 'no' OR T.size = 2.5)",
        "T.[[text]] = 'Abc'",
        "[[T]].[[inner]].deep IN [[[T]].inner.deep]",
    ],
)
def test_conditions_that_the_full_one_alone_fulfils(graph, condition):
    assert ids(graph, condition) == {"full"}


@pytest.mark.parametrize(
    "condition",
    [
        "STARTSWITH(T.size, 'A')",
        "CONTAINS(T.text, 2)",
        "ARRAY_CONTAINS(T.text, 'A')",
        "T.text = null",
        "T.size IN ['2.5']",
        "T.is = 1",
        "IS_NULL(T.nothing)",
    ],
)
def test_conditions_that_none_fulfils(graph, condition):
    assert ids(graph, condition) == set()


@pytest.mark.parametrize(
    ("values", "wanted", "holds"),
    [
        (["a", 1], "'a'", True),
        (["a", 1], "1", True),
        ([True], "1", False),
        ([], "'a'", False),
        ("a", "'a'", False),
        (None, "'a'", False),
    ],
)
def test_what_an_array_contains(values, wanted, holds):
    # No property is an array in DTDL v2; a row may hold one all the same
    text = f"SELECT * FROM DIGITALTWINS WHERE ARRAY_CONTAINS(tags, {wanted})"
    ((_, condition),) = parse_query(text, lambda dtmi, base: False).conditions
    assert (condition({"": {"tags": values}}) is True) == holds


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (f"'{BASE}'", {"floor", "room"}),
        (f"T, '{BASE}'", {"floor", "room"}),
        (f"T, '{BASE}', exact", set()),
        (f"'{ROOM}', exact", {"room"}),
        (f"T.nothing, '{BASE}'", set()),
    ],
)
def test_of_which_model(graph, arguments, found):
    assert ids(graph, f"IS_OF_MODEL({arguments})") == found


SELECT = "SELECT * FROM DIGITALTWINS T WHERE "
JOINED = "SELECT R FROM DIGITALTWINS T JOIN R RELATED T.contains "


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "At character 1:"),
        ("SELECT * FROM DIGITALTWINS MATCH (a)", "At character 34: '('"),
        (SELECT + "x" * MAX_CHARS, f"it may have {MAX_CHARS}"),
        (SELECT + "NOT " * 1900 + "T.a = 1", "nested too deeply"),
        ("SELECT * FROM ROOMS", "DIGITALTWINS or RELATIONSHIPS"),
        ("SELECT T FROM RELATIONSHIPS R JOIN T RELATED R.a", "RELATIONSHIPS has no JOIN"),
        ("SELECT SUM() FROM DIGITALTWINS", "there is COUNT()"),
        (JOINED, "needs a condition on the $dtId"),
        ("SELECT * FROM DIGITALTWINS T JOIN R RELATED T.a WHERE T.$dtId = 'a'", "not possible"),
        (JOINED + "WHERE T.$dtId = 'a' AND X.b = 1", "X is not an alias"),
        ("SELECT T FROM DIGITALTWINS T JOIN R RELATED X.a", "an earlier alias"),
        ("SELECT T FROM DIGITALTWINS T JOIN R RELATED T.a.b", "an earlier alias"),
        ("SELECT T FROM DIGITALTWINS T JOIN T RELATED T.a", "T is used twice"),
        ("SELECT T FROM DIGITALTWINS T JOIN R RELATED T.a T", "T is used twice"),
        (
            "SELECT T FROM DIGITALTWINS T"
            + "".join(f" JOIN R{n} RELATED T.a" for n in range(MAX_JOINS + 1)),
            f"more than {MAX_JOINS} JOINs",
        ),
        (SELECT + " AND ".join(["T.a = 1"] * (MAX_SIGNS + 2)), f"more than {MAX_SIGNS} AND"),
        (SELECT + "T.a = 1" + " OR T.a = 1" * (MAX_SIGNS + 1), f"more than {MAX_SIGNS} AND"),
        (SELECT + f"T.a IN [{','.join('1' * (MAX_CHOICES + 1))}]", f"more than {MAX_CHOICES}"),
        (SELECT + "LENGTH(T.a) = 1", "LENGTH is not known"),
        (SELECT + "IS_NULL()", "IS_NULL has 1 arguments"),
        (SELECT + "STARTSWITH(T.a)", "STARTSWITH has 2 arguments"),
        (SELECT + "IS_OF_MODEL()", "is written IS_OF_MODEL(alias"),
        (SELECT + "IS_OF_MODEL(T, 3)", "is written IS_OF_MODEL(alias"),
        (SELECT + "IS_OF_MODEL(exact)", "is written IS_OF_MODEL(alias"),
        (SELECT + "IS_OF_MODEL('a', 'dtmi:b;1')", "is written IS_OF_MODEL(alias"),
        (SELECT + "IS_OF_MODEL(true, 'dtmi:b;1')", "is written IS_OF_MODEL(alias"),
        (SELECT + "IS_OF_MODEL(T, T, 'dtmi:b;1')", "is written IS_OF_MODEL(alias"),
    ],
)
def test_a_query_is_refused_with_the_reason(graph, text, reason):
    with pytest.raises(GraphError) as caught:
        list(graph.query(text))
    assert caught.value.code == "SqlQueryError"
    assert reason in caught.value.message


def test_a_name_that_is_a_keyword_is_written_in_brackets(graph):
    text = "SELECT [[From]].$dtId AS [[Select]] FROM DIGITALTWINS [[From]]"
    (row,) = graph.query(f"{text} WHERE [[From]].$dtId = 'room'")
    assert row.document == {"Select": "room"}


def test_a_join_by_the_twin_its_edge_or_one_of_several(graph):
    for condition in (
        "T.$dtId = 'floor'",
        "R.$dtId IN ['a', 'room']",
        "'room' = R.$dtId",
        "(IS_NULL(R.no) OR true) AND (NOT IS_NULL(E.no) AND ((T.$dtId = 'floor' AND true)))",
    ):
        text = "SELECT R.$dtId AS id, E.$relationshipId AS edge FROM DIGITALTWINS T"
        rows = graph.query(f"{text} JOIN R RELATED T.contains E WHERE {condition}")
        assert [each.document for each in rows] == [{"id": "room", "edge": "r"}]


@pytest.mark.parametrize(
    ("condition", "count"),
    [
        (f"IS_OF_MODEL(Exact, '{ROOM}')", 1),
        (f"IS_OF_MODEL(Exact, '{BASE}', exact)", 0),
        ("Exact.$metadata.$model = 'none'", 0),
        (f"Exact.$metadata.$model = '{ROOM}'", 1),
    ],
)
def test_an_alias_may_be_called_as_the_one_keyword_among_arguments(graph, condition, count):
    text = "SELECT Exact FROM DIGITALTWINS T JOIN Exact RELATED T.contains"
    assert len(list(graph.query(f"{text} WHERE T.$dtId = 'floor' AND {condition}"))) == count


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("true", True),
        ("type = 'Microsoft.DigitalTwins.Twin.Update'", True),
        ("STARTS_WITH(subject, 'ro') AND ENDS_WITH(subject, 'om')", True),
        ("CONTAINS(subject, 'x')", False),
        ("$body.size > 2", True),
        ("$body.size != null", True),
        ("null = $body.size", False),
        ("$body.inner != null", True),
        ("$body.none = null", True),
        ("$body.none != null", False),
        ("$body.nothing != null", False),
        ("$body.nothing = null", False),
        ("NOT $body.nothing = null", False),
        ("$body.size > null", False),
        ("false", False),
    ],
)
def test_a_filter(text, holds):
    event = {
        "type": "Microsoft.DigitalTwins.Twin.Update",
        "subject": "room",
        "$body": {"size": 3, "none": None, "inner": {}},
    }
    assert (parse_filter(text)(event) is True) == holds


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "At character 1:"),
        ("x" * (MAX_CHARS + 1), f"more than {MAX_CHARS}"),
        ("NOT " * 1900 + "true", "nested too deeply"),
        ("STARTSWITH(subject, 'a')", "STARTSWITH is not known"),
        ("IS_OF_MODEL('dtmi:a;1')", "IS_OF_MODEL is not known"),
    ],
)
def test_a_filter_is_refused_with_the_reason(text, reason):
    with pytest.raises(GraphError) as caught:
        parse_filter(text)
    assert caught.value.code == "EventRouteFilterInvalid"
    assert reason in caught.value.message
