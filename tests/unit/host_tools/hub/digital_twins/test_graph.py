"""The graph without its door: what outlives the hub, what a failing disk leaves, what is told."""

import time
from itertools import islice, pairwise

import pytest
from doubles.graph_in_memory import BASE, FLOOR, MODELS, ROOM, interface, make_graph

from host_tools.hub.digital_twins import query
from host_tools.hub.digital_twins.errors import GraphError
from host_tools.hub.storage import Storage, StorageError

TIME = "2026-01-01T00:00:00Z"
COMPONENT = {"@type": "Component", "name": "part"}


def fill(graph):
    graph.models.upload(MODELS)
    graph.put_twin("floor", {"$metadata": {"$model": FLOOR}})
    graph.put_twin("room", {"$metadata": {"$model": ROOM}, "temperature": 20.5})
    graph.put_relationship("floor", "r", {"$relationshipName": "contains", "$targetId": "room"})
    graph.routes.put("all", {"endpointName": "events", "filter": "true"})


def code(call, *arguments):
    with pytest.raises(GraphError) as caught:
        call(*arguments)
    return caught.value.code


def test_everything_outlives_the_hub(tmp_path):
    storage = Storage(tmp_path / "state")
    graph = make_graph(storage)
    fill(graph)
    graph.models.decommission(ROOM, [{"op": "replace", "path": "/decommissioned", "value": True}])
    room, edge = graph.get_twin("room"), graph.get_relationship("floor", "r")
    storage.close()

    storage = Storage(tmp_path / "state")
    graph = make_graph(storage)
    assert graph.get_twin("room") == room
    assert graph.get_relationship("floor", "r") == edge
    assert [each["$sourceId"] for each in graph.incoming("room")] == ["floor"]
    assert graph.models.get(ROOM).is_decommissioned
    assert [route.id for route in graph.routes.list()] == ["all"]
    assert code(graph.put_twin, "new", {"$metadata": {"$model": ROOM}}) == "ModelDecommissioned"
    graph.delete_relationship("floor", "r")
    graph.delete_twin("room")
    storage.close()
    storage = Storage(tmp_path / "state")
    assert code(make_graph(storage).get_twin, "room") == "DigitalTwinNotFound"
    storage.close()


class FailingStore(Storage):
    fails = False

    def write(self, changes):
        if self.fails:
            raise StorageError("no space left")
        super().write(changes)


def test_what_was_not_written_did_not_happen():
    store, told = FailingStore(), []
    graph = make_graph(store, told)
    fill(graph)
    before, store.fails = len(told), True
    patch = [{"op": "add", "path": "/temperature", "value": 1}]
    for call in (
        lambda: graph.patch_twin("room", patch),
        lambda: graph.delete_relationship("floor", "r"),
        lambda: graph.put_twin("new", {"$metadata": {"$model": FLOOR}}),
        lambda: graph.models.upload([interface("dtmi:com:test:New;1")]),
        lambda: graph.routes.delete("all"),
    ):
        with pytest.raises(StorageError):
            call()
    assert graph.get_twin("room")["temperature"] == 20.5
    assert graph.get_relationship("floor", "r")
    assert graph.find_twin("new") is None
    assert code(graph.models.get, "dtmi:com:test:New;1") == "ModelNotFound"
    assert len(graph.routes.list()) == 1
    assert len(told) == before


def test_times_of_what_was_written_alone_change():
    now = [1000.0]
    graph = make_graph(now=now)
    fill(graph)
    now[0] = 2000.0
    graph.patch_twin("room", [{"op": "add", "path": "/name", "value": "Kitchen"}])
    times = graph.get_twin("room")["$metadata"]
    assert times["temperature"]["lastUpdateTime"] == "1970-01-01T00:16:40.000000Z"
    assert times["name"]["lastUpdateTime"] == "1970-01-01T00:33:20.000000Z"
    assert times["$lastUpdateTime"] == "1970-01-01T00:33:20.000000Z"


def test_a_patch_that_changes_the_model_and_takes_away_what_the_new_one_lacks():
    graph = make_graph()
    fill(graph)
    model = {"op": "replace", "path": "/$metadata/$model", "value": FLOOR}
    assert code(graph.patch_twin, "room", [model]) == "ValidationFailed"
    changed = graph.patch_twin("room", [{"op": "remove", "path": "/temperature"}, model])
    assert set(changed["$metadata"]) == {"$model", "$lastUpdateTime"}
    unknown = [{"op": "add", "path": "/$metadata/temperature/sourceTime", "value": TIME}]
    assert code(graph.patch_twin, "room", unknown) == "ValidationFailed"


def test_times_of_what_is_in_a_component_that_was_written_whole():
    now = [1000.0]
    graph = make_graph(now=now)
    house = interface("dtmi:com:test:House;1", {**COMPONENT, "schema": ROOM})
    graph.models.upload([*MODELS, house])
    part = {"$metadata": {}, "temperature": 2, "name": "c"}
    graph.put_twin("house", {"$metadata": {"$model": "dtmi:com:test:House;1"}, "part": part})
    now[0] = 2000.0
    part = {"$metadata": {}, "temperature": 3}
    graph.patch_twin("house", [{"op": "replace", "path": "/part", "value": part}])
    times = graph.get_component("house", "part")["$metadata"]
    assert times["temperature"]["lastUpdateTime"] == "1970-01-01T00:33:20.000000Z"
    assert set(times) == {"$lastUpdateTime", "temperature"}


def test_what_is_told_of_a_change():
    told = []
    graph = make_graph(told=told)
    fill(graph)
    graph.patch_twin("room", [{"op": "replace", "path": "/temperature", "value": 21}])
    (endpoint, event), *rest = told
    assert not rest
    assert endpoint == "events"
    assert event.data == {
        "modelId": ROOM,
        "patch": [{"op": "replace", "path": "/temperature", "value": 21}],
    }
    seen = event.attributes()
    assert (seen["type"], seen["subject"]) == ("Microsoft.DigitalTwins.Twin.Update", "room")
    assert (seen["source"], seen["specversion"]) == ("hub.test", "1.0")
    graph.patch_relationship("floor", "r", [{"op": "add", "path": "/since", "value": 2020}])
    assert told[-1][1].data == {
        "modelId": FLOOR,
        "patch": [{"op": "add", "path": "/since", "value": 2020}],
    }
    graph.delete_relationship("floor", "r")
    assert told[-1][1].attributes()["subject"] == "floor/relationships/r"


def test_what_is_told_of_telemetry():
    told = []
    graph = make_graph(told=told)
    fill(graph)
    house = interface("dtmi:com:test:House;1", {**COMPONENT, "schema": ROOM})
    graph.models.upload([house])
    metadata = {"$metadata": {"$model": "dtmi:com:test:House;1"}}
    graph.put_twin("house", {**metadata, "part": {"$metadata": {}}})
    graph.publish("house", "part", {"reading": 1}, "m1", TIME)
    seen = told[-1][1].attributes()
    assert (seen["source"], seen["dataschema"]) == ("hub.test/digitaltwins/house", ROOM)
    assert (seen["id"], seen["subject"], seen["time"]) == ("m1", "part", TIME)
    graph.publish("house", "", {"reading": 1}, "m2")
    # The attributes of CloudEvents are never empty; filters may ask for it
    assert "subject" not in told[-1][1].attributes()
    assert told[-1][1].as_filtered()["subject"] == ""
    assert told[-1][1].attributes()["dataschema"] == "dtmi:com:test:House;1"


def test_a_query_follows_relationships_from_the_twin_it_names():
    graph = make_graph()
    fill(graph)
    for number in range(200):
        graph.put_twin(f"f{number}", {"$metadata": {"$model": FLOOR}})
    looked = []
    outgoing, incoming = graph.outgoing, graph.incoming
    graph.outgoing = lambda *a: looked.append(a) or outgoing(*a)
    graph.incoming = lambda *a: looked.append(a) or incoming(*a)
    text = "SELECT F.$dtId FROM DIGITALTWINS F JOIN R RELATED F.contains WHERE R.$dtId = 'room'"
    assert [each.document for each in graph.query(text)] == [{"$dtId": "floor"}]
    assert looked == [("room", "contains")]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT R.$dtId FROM DIGITALTWINS F JOIN R RELATED F.contains WHERE F.$dtId = 'f'",
        "SELECT F.$dtId FROM DIGITALTWINS F JOIN R RELATED F.contains WHERE R.$dtId = 'f'",
        "SELECT * FROM RELATIONSHIPS",
        "SELECT TOP(251) * FROM RELATIONSHIPS R WHERE R.$sourceId = 'f'",
    ],
)
def test_a_query_goes_on_after_what_is_deleted_meanwhile(text):
    graph = make_graph()
    graph.models.upload(MODELS)
    graph.put_twin("f", {"$metadata": {"$model": FLOOR}})
    for number in range(251):
        body = {"$relationshipName": "contains", "$targetId": "f"}
        graph.put_relationship("f", f"r{number}", body)
    given, page = 0, list(islice(graph.query(text), 100))
    while page:
        for each in page:
            graph.delete_relationship("f", each.place.way[-1])
        given += len(page)
        page = list(islice(graph.query(text, page[-1].place), 100))
    assert given == 251
    assert not list(graph.outgoing("f"))


def test_a_query_that_goes_on_has_every_row_once_and_no_more_than_its_top():
    graph = make_graph()
    graph.models.upload(MODELS)
    for name in ("a", "b", "c"):
        graph.put_twin(name, {"$metadata": {"$model": FLOOR}})
    for source in ("a", "b", "c"):
        for target in ("a", "b", "c"):
            body = {"$relationshipName": "contains", "$targetId": target}
            graph.put_relationship(source, f"to-{target}", body)

    def rows(top, size):
        text = f"SELECT {top} X.$dtId AS x, Y.$dtId AS y, Z.$dtId AS z FROM DIGITALTWINS X"
        text += " JOIN Y RELATED X.contains JOIN Z RELATED Y.contains WHERE Y.$dtId IN ['c', 'a']"
        page = list(islice(graph.query(text), size))
        while page:
            yield from (tuple(each.document.values()) for each in page)
            page = list(islice(graph.query(text, page[-1].place), size))

    every = [(x, y, z) for y in "ac" for x in "abc" for z in "abc"]
    for size in (1, 2, 5, 100):
        assert list(rows("", size)) == every
        assert list(rows("TOP(7)", size)) == every[:7]


def test_a_query_that_looks_at_too_much_ends_soon():
    graph = make_graph()
    graph.models.upload(MODELS)
    names = [f"f{number}" for number in range(24)]
    for name in names:
        graph.put_twin(name, {"$metadata": {"$model": FLOOR}})
    for source in names:
        for target in names:
            body = {"$relationshipName": "contains", "$targetId": target}
            graph.put_relationship(source, target, body)

    def ask(aliases):
        joins = "".join(f" JOIN {b} RELATED {a}.contains" for a, b in pairwise(aliases))
        began = time.process_time()
        try:
            list(graph.query(f"SELECT COUNT() FROM DIGITALTWINS A{joins} WHERE A.$dtId = 'f0'"))
        finally:
            took.append(time.process_time() - began)

    took = []
    ask("ABCD")  # 24 * 24 * 24 rows
    with pytest.raises(GraphError) as caught:
        ask("ABCDEF")
    assert (caught.value.code, caught.value.http_status) == ("TimeoutError", 400)
    # 200,000 are some 14 times as many; all of them would be 576 times
    assert took[1] < 40 * took[0]


def test_a_query_may_go_on_beyond_what_one_page_of_it_looks_at(monkeypatch):
    monkeypatch.setattr(query, "MAX_EXAMINED", 51)  # one more: where it goes on
    graph = make_graph()
    graph.models.upload(MODELS)
    for number in range(100):
        graph.put_twin(f"f{number:02}", {"$metadata": {"$model": FLOOR}})
    *_, last = islice(graph.query("SELECT * FROM DIGITALTWINS"), 50)
    assert len(list(graph.query("SELECT * FROM DIGITALTWINS", last.place))) == 50


def test_models_that_derive_from_each_other():
    graph = make_graph()
    fill(graph)
    assert graph.models.is_kind_of(ROOM, BASE)
    assert not graph.models.is_kind_of(BASE, ROOM)
    diamond = [
        interface("dtmi:com:test:Left;1", extends=BASE),
        interface("dtmi:com:test:Right;1", extends=BASE),
        interface(
            "dtmi:com:test:Both;1", extends=["dtmi:com:test:Left;1", "dtmi:com:test:Right;1"]
        ),
    ]
    graph.models.upload(diamond)
    assert set(graph.models.whole("dtmi:com:test:Both;1").properties) == {"name"}
    chain = [
        interface(f"dtmi:com:test:C{n};1", extends=f"dtmi:com:test:C{n + 1};1") for n in range(12)
    ]
    chain.append(interface("dtmi:com:test:C12;1"))
    assert code(graph.models.upload, chain) == "DTDLParserError"


@pytest.mark.parametrize(
    ("verb", "place", "body"),
    [
        ("put_twin", ("new",), {"$dtId": None, "$etag": None, "$metadata": {"$model": FLOOR}}),
        *[
            (
                "patch_twin",
                ("room",),
                [{"op": "replace", "path": f"/$metadata/{name}/sourceTime", "value": TIME}],
            )
            for name in ("temperature", "name")  # one that is set, and one that is not
        ],
        *[
            (
                "put_relationship",
                ("floor", "r"),
                dict.fromkeys(("$sourceId", "$relationshipId", "$etag"), said)
                | {"$relationshipName": "contains", "$targetId": "room"},
            )
            for said in (None, "another")
        ],
        ("patch_relationship", ("floor", "r"), []),
    ],
)
def test_what_the_service_was_recorded_to_take(verb, place, body):
    graph = make_graph()
    fill(graph)
    found = getattr(graph, verb)(*place, body)
    assert found["$etag"] not in (None, "another")
    if "relationship" in verb:
        assert (found["$sourceId"], found["$relationshipId"]) == place
        assert graph.get_relationship(*place) == found
    else:
        assert graph.get_twin(*place) == found
        assert found["$dtId"] == place[0]


def test_when_a_value_was_measured_is_kept():
    graph = make_graph()
    fill(graph)
    path = "/$metadata/temperature/sourceTime"
    patch = [{"op": "replace", "path": path, "value": TIME}]
    assert graph.patch_twin("room", patch)["$metadata"]["temperature"]["sourceTime"] == TIME
    graph.patch_twin("room", [{"op": "remove", "path": path}])
    assert code(graph.patch_twin, "room", [{"op": "remove", "path": path}]) == "JsonPatchInvalid"


def test_a_relationship_that_leads_to_nothing():
    graph = make_graph()
    fill(graph)
    body = {"$relationshipName": "contains", "$targetId": "nothing"}
    with pytest.raises(GraphError) as caught:
        graph.put_relationship("floor", "n", body)
    assert (caught.value.code, caught.value.http_status) == ("TargetDigitalTwinNotFound", 404)


def test_the_target_of_a_relationship_may_come_after_its_model():
    graph = make_graph()
    base, floor, room = MODELS
    later = {"@type": "Relationship", "name": "contains", "target": ROOM}
    graph.models.upload([base, {**floor, "contents": [later]}])
    for name in ("a", "b"):
        graph.put_twin(name, {"$metadata": {"$model": FLOOR}})
    body = {"$relationshipName": "contains", "$targetId": "b"}
    assert code(graph.put_relationship, "a", "r", body) == "InvalidRelationship"
    graph.models.upload([room])
    graph.put_twin("b", {"$metadata": {"$model": ROOM}})
    assert graph.put_relationship("a", "r", body)["$targetId"] == "b"


def test_models_are_all_deleted_beside_others_who_delete_and_upload_them():
    graph = make_graph()
    names = [f"dtmi:com:test:M{number};1" for number in range(3)]
    graph.models.upload([interface(name) for name in names])
    deleting = graph.models.delete_all()
    assert next(deleting) == names[0]
    graph.models.delete(names[1])
    user = interface("dtmi:com:test:User;1", extends=names[2])
    graph.models.upload([user])
    assert list(deleting) == ["dtmi:com:test:User;1", names[2]]


@pytest.mark.parametrize(
    "document",
    [None, 3, "x", [], [3], [{}], [{"@id": 3}], [[[[]]]], [{"@id": "dtmi:a;1", "contents": 3}]],
)
def test_what_is_no_model_is_refused(document):
    assert code(make_graph().models.upload, document) in ("InvalidArgument", "DTDLParserError")
