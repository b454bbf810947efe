"""`thermo twins`: what is asked of the service, shown, and said when it refuses."""

import json

import pytest
from azure.core.exceptions import HttpResponseError
from doubles.service_clients import VARIABLES, Client, thing

from host_tools import cli
from host_tools.cloud.twins_commands import json_patch

URL = "https://twins.test"
ZONE, DEVICE = "dtmi:test:Zone;1", "dtmi:test:Device;1"
PARTS = [{"@type": "Component", "name": "zone1", "schema": ZONE}]


@pytest.fixture
def graph(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_URL", URL)
    models = [
        thing(id=DEVICE, model={"@id": DEVICE, "contents": PARTS}),
        thing(id=ZONE, model={"@id": ZONE}),
    ]
    found = Client(list_models=lambda *given, **options: models)
    monkeypatch.setattr("azure.identity.DefaultAzureCredential", lambda: "who I am")
    monkeypatch.setattr("azure.digitaltwins.core.DigitalTwinsClient", lambda url, who: found)
    return found


def run(capsys, *arguments):
    code = cli.main(["twins", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


EDGE = thing(source_id="floor1", relationship_id="e2", relationship_name="contains")


@pytest.mark.parametrize(
    ("words", "said", "asked"),
    [
        (
            ("create", "t1", "--model", DEVICE, "zone1.target=20", "name=x"),
            "t1 is created",
            [
                "upsert_digital_twin",
                "t1",
                {
                    "$metadata": {"$model": DEVICE},
                    "zone1": {"target": 20, "$metadata": {}},
                    "name": "x",
                },
            ],
        ),
        (
            ("update", "t1", "a.b/c=1", "d=null"),
            "t1 is updated",
            [
                "update_digital_twin",
                "t1",
                [
                    {"op": "add", "path": "/a/b~1c", "value": 1},
                    {"op": "remove", "path": "/d"},
                ],
            ],
        ),
        (
            ("update", "t1", "target=1", "--component", "zone1"),
            "t1 is updated",
            [
                "update_component",
                "t1",
                "zone1",
                [{"op": "add", "path": "/target", "value": 1}],
            ],
        ),
        (("delete", "t1"), "t1 is deleted", ["delete_digital_twin", "t1"]),
        (
            ("delete", "t1", "--with-relationships"),
            "t1 is deleted",
            ["delete_relationship", "floor1", "e2"],
        ),
        (
            ("relate", "a", "has", "b", "x=1"),
            "the relationship a-has-b is there",
            [
                "upsert_relationship",
                "a",
                "a-has-b",
                {"x": 1, "$relationshipName": "has", "$targetId": "b"},
            ],
        ),
        (
            ("relate", "a", "has", "b", "--id", "e1", "--remove"),
            "the relationship e1 is gone",
            ["delete_relationship", "a", "e1"],
        ),
        (
            ("telemetry", "t1", '{"a": 1}'),
            "published",
            ["publish_telemetry", "t1", {"a": 1}],
        ),
        (
            ("telemetry", "t1", "{}", "--component", "zone1"),
            "published",
            ["publish_component_telemetry", "t1", "zone1", {}],
        ),
        (
            ("models", "decommission", ZONE),
            f"{ZONE} is decommissioned",
            ["decommission_model", ZONE],
        ),
        (("models", "delete", ZONE), f"{ZONE} is deleted", ["delete_model", ZONE]),
    ],
    ids=lambda each: " ".join(each[:2]) if isinstance(each, tuple) else "",
)
def test_what_is_asked(capsys, graph, words, said, asked):
    graph.answers |= {
        "list_relationships": lambda name: [{"$relationshipId": "e1"}],
        "list_incoming_relationships": lambda name: [EDGE],
    }
    assert run(capsys, *words) == (0, "", said + "\n")
    assert asked in [list(each[: len(asked)]) for each in graph.calls]


@pytest.mark.parametrize(
    ("words", "code", "line"),
    [
        (("create", "t1"), 2, "invalid value: name the model, as in --model"),
        (("create", "t1", "--model", "dtmi:none;1"), 1, "the model dtmi:none;1 is not whole ("),
        (("update", "t1", "x"), 1, "x is not understood; write PATH=VALUE"),
        (("show", "t1", "--twins", "http://a.test"), 1, "http://a.test is not https, and a"),
    ],
)
def test_what_cannot_be(capsys, graph, words, code, line):
    got, out, err = run(capsys, *words)
    assert (got, out, err.count("\n")) == (code, "", 1)
    assert err.startswith(f"thermo: {line}")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("get_digital_twin", ("show", "t1")),
        ("update_digital_twin", ("update", "t1", "a=1")),
        ("delete_digital_twin", ("delete", "t1")),
        ("query_twins", ("query", "SELECT")),
        ("list_event_routes", ("routes",)),
        ("list_models", ("models", "list")),
        ("get_model", ("models", "show", ZONE)),
    ],
)
def test_what_the_service_refuses_is_a_line(capsys, graph, name, words):
    error = HttpResponseError("no")
    error.response = thing(
        status_code=400, text=lambda: '{"error": {"code": "Bad", "message": "no such thing"}}'
    )
    graph.answers[name] = error
    code, out, err = run(capsys, *words)
    assert (code, out) == (1, "")
    assert (
        err
        == f"thermo: {URL} refused it with 400 (Bad: no such thing); check what was asked for\n"
    )


def test_a_twin_with_its_relationships(capsys, graph):
    times = {"$model": DEVICE, "name": {"lastUpdateTime": "2026-11-27"}, "odd": 1}
    zone = {"$metadata": {}, "target": 20, "empty": {}}
    graph.answers |= {
        "get_digital_twin": {
            "$dtId": "t1",
            "$metadata": times,
            "name": "x",
            "odd": 1,
            "zone1": zone,
        },
        "list_relationships": lambda name: [{"$relationshipName": "isIn", "$targetId": "b"}],
        "list_incoming_relationships": lambda name: [EDGE],
    }
    code, out, err = run(capsys, "show", "t1")
    assert (code, err) == (0, f"t1, {DEVICE}\n")
    rows = [line.split() for line in out.splitlines()]
    for wanted in (
        ["name", "x", "2026-11-27"],
        ["odd", "1"],
        ["zone1.target", "20"],
        ["zone1.empty", "{}"],
        ["isIn", "b"],
        ["contains", "floor1"],
    ):
        assert wanted in rows
    found = json.loads(run(capsys, "show", "t1", "--json")[1])
    assert found["relationships"] == [{"$relationshipName": "isIn", "$targetId": "b"}]
    graph.answers |= {
        "list_relationships": lambda name: [],
        "list_incoming_relationships": lambda name: [],
    }
    assert "relationship" not in run(capsys, "show", "t1")[1]


def test_rows(capsys, graph):
    rows = [{"$dtId": "a", "map": {"[/x]": 1}}, {"$dtId": "b"}, {"$dtId": "c"}]
    graph.answers["query_twins"] = lambda text: iter(rows)
    code, out, err = run(capsys, "query", "SELECT", "--top", 2)
    assert (code, err) == (0, "2 rows\n")
    assert [line.split() for line in out.splitlines()] == [
        ["$dtId", "map.[/x]"],
        ["a", "1"],
        ["b"],
    ]
    assert json.loads(run(capsys, "query", "SELECT", "--json")[1]) == rows


def test_routes(capsys, graph):
    route = thing(id="r1", endpoint_name="events", filter="true")
    graph.answers["list_event_routes"] = lambda: [route]
    code, out, _ = run(capsys, "routes", "--add", "r1", "events", "true", "--delete", "r0")
    assert code == 0
    assert [line.split() for line in out.splitlines()][1] == ["r1", "events", "true"]
    ((identifier, made),) = graph.asked("upsert_event_route")
    assert (identifier, made.endpoint_name, made.filter) == ("r1", "events", "true")
    assert graph.asked("delete_event_route") == [["r0"]]
    found = json.loads(run(capsys, "routes", "--json")[1])
    assert found == [{"id": "r1", "endpoint": "events", "filter": "true"}]


def test_models(capsys, graph, tmp_path):
    known = thing(
        id=ZONE, display_name=None, decommissioned=True, upload_time="2026", model={"@id": ZONE}
    )
    graph.answers |= {
        "list_models": lambda *given, **options: [known],
        "get_model": known,
        "create_models": lambda part: part,
    }
    code, out, _ = run(capsys, "models", "list")
    assert code == 0
    assert ["decommissioned"] == [word for word in out.split() if word.startswith("decomm")]
    assert json.loads(run(capsys, "models", "show", ZONE)[1]) == {"@id": ZONE}
    assert json.loads(run(capsys, "models", "list", "--json")[1]) == [
        {"id": ZONE, "displayName": "", "decommissioned": True, "uploaded": "2026"}
    ]
    (tmp_path / "a.json").write_text(json.dumps([{"@id": ZONE}, {"@id": DEVICE}]))
    code, _, err = run(capsys, "models", "upload", tmp_path)
    assert (code, err) == (0, "1 models are uploaded, 1 were there already\n")


def test_a_patch_is_of_leaves():
    assert json_patch({"a": {"b~": {}, "c": [1]}}) == [
        {"op": "add", "path": "/a/b~0", "value": {}},
        {"op": "add", "path": "/a/c", "value": [1]},
    ]
