"""The bridge between a hub's events and the graph: what it writes, and what it only says."""

import math

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from doubles.service_clients import thing
from msrest.exceptions import HttpOperationError

from host_tools.cloud.bridge import REFRESH_S, Bridge

ZONE, DEVICE, ROOM, FLOOR = (f"dtmi:test:{name};1" for name in ("Zone", "Device", "Room", "Floor"))


def part(kind, name, schema="double", **more):
    return {"@type": kind, "name": name, "schema": schema, **more}


MODELS = {
    ZONE: [
        part("Property", "targetTemperature", writable=True),
        part("Property", "highest"),
        part("Telemetry", "temperature"),
    ],
    DEVICE: [part("Property", "serialNumber", "string"), part("Component", "zone1", ZONE)],
    ROOM: [part("Property", "temperature"), part("Property", "targetTemperature", "integer")],
    FLOOR: [part("Property", "averageTemperature")],
}
TELEMETRY = {
    "device": "t1",
    "module": None,
    "component": "zone1",
    "model": DEVICE,
    "source": "Telemetry",
    "body": {"temperature": 21.5},
}


def change(**reported):
    return {
        **TELEMETRY,
        "component": "",
        "model": "",
        "source": "twinChangeEvents",
        "body": {"properties": {"reported": reported}},
    }


class Graph:
    """A DigitalTwinsClient over dictionaries. `refuse` is raised by each write, if set."""

    def __init__(self):
        self.twins = {
            "kitchen": {"$metadata": {"$model": ROOM}},
            "hall": {"$metadata": {"$model": ROOM}, "temperature": 18.5},
            "floor1": {"$metadata": {"$model": FLOOR}},
            "house": {"$metadata": {"$model": FLOOR}},
        }
        self.edges = {}
        self.published = []
        self.writes = 0
        self.refuse = None
        for source, name, target in (
            ("floor1", "contains", "kitchen"),
            ("floor1", "contains", "hall"),
            ("house", "has", "floor1"),
        ):
            self.upsert_relationship(
                source, f"{source}-{target}", {"$relationshipName": name, "$targetId": target}
            )

    def list_models(self, dependencies_for, include_model_definition):
        return [
            thing(id=dtmi, model={"@id": dtmi, "contents": contents})
            for dtmi, contents in MODELS.items()
        ]

    def get_digital_twin(self, name):
        if name not in self.twins:
            raise ResourceNotFoundError(f"no {name}")
        return dict(self.twins[name])

    def upsert_digital_twin(self, name, twin):
        self.twins[name] = twin
        return twin

    def update_digital_twin(self, name, operations):
        if self.refuse is not None:
            raise self.refuse
        self.writes += 1
        for each in operations:
            *places, last = each["path"].split("/")[1:]
            twin = self.twins[name]
            for place in places:
                twin = twin[place]
            if each["op"] == "add":
                twin[last] = each["value"]
            else:
                del twin[last]

    def publish_telemetry(self, *words):
        self.published.append(words)

    publish_component_telemetry = publish_telemetry

    def upsert_relationship(self, source, identifier, body):
        if source not in self.twins:
            raise ResourceNotFoundError(f"no {source}")
        self.edges[source, identifier] = body

    def get_relationship(self, source, identifier):
        return self.edges[source, identifier]

    def list_relationships(self, source, name):
        return [
            body
            for (origin, _), body in self.edges.items()
            if (origin, body["$relationshipName"]) == (source, name)
        ]

    def list_incoming_relationships(self, target):
        return [
            thing(
                source_id=source,
                relationship_id=identifier,
                relationship_name=body["$relationshipName"],
            )
            for (source, identifier), body in self.edges.items()
            if body["$targetId"] == target
        ]


class World:
    """A bridge with one device that is in the graph when it speaks, and what was said."""

    def __init__(self, rooms=None):
        self.graph, self.said, self.now_s = Graph(), [], [0.0]
        self.twin = thing(
            properties=thing(reported=None), additional_properties={"modelId": DEVICE}
        )
        rooms = {"t1": {"zone1": "kitchen"}} if rooms is None else rooms
        registry = thing(get_twin=self.hub_twin)
        clock = lambda: self.now_s[0]  # noqa: E731
        self.bridge = Bridge(self.graph, registry, rooms, self.said.append, clock)

    def hub_twin(self, name):
        if isinstance(self.twin, Exception):
            raise self.twin
        return self.twin

    def take(self, *events):
        for each in events:
            self.bridge.take(each)
        return dict(self.bridge.counts)


@pytest.fixture
def world():
    return World()


def refused(status, text="no"):
    found = HttpResponseError(text)
    found.status_code = status
    return found


def test_a_temperature_becomes_that_of_the_room_and_of_what_it_is_in(world):
    counts = world.take(TELEMETRY)
    twins = world.graph.twins
    assert twins["kitchen"]["temperature"] == 21.5
    assert twins["floor1"]["averageTemperature"] == 20.0
    assert twins["house"]["averageTemperature"] == 20.0
    assert world.graph.published == [("t1", "zone1", {"temperature": 21.5})]
    assert counts == {"created": 1, "telemetry": 1, "written": 3}
    assert world.said == ["the device t1 is in the graph now"]
    # A second time there is nothing to write
    assert world.take(TELEMETRY) == {"created": 1, "telemetry": 2, "written": 3}


@pytest.mark.parametrize(
    ("event", "published"),
    [
        ({**TELEMETRY, "device": ""}, 0),
        ({**TELEMETRY, "module": "m"}, 0),
        ({**TELEMETRY, "body": "a text"}, 0),
        ({**TELEMETRY, "source": "deviceLifecycleEvents"}, 0),
        ({**change(), "body": {}}, 0),
        ({**change(), "body": {"properties": None}}, 0),
        ({**TELEMETRY, "component": ""}, 1),
        ({**TELEMETRY, "component": "nowhere"}, 1),
        ({**TELEMETRY, "body": {"temperature": "warm"}}, 1),
        ({**TELEMETRY, "body": {"temperature": True}}, 1),
        ({**TELEMETRY, "body": {}}, 1),
    ],
)
def test_what_is_of_no_room_changes_none(world, event, published):
    world.take(event)
    assert len(world.graph.published) == published
    assert not world.graph.writes


def test_reported_properties_become_the_twins(world):
    said = {"value": 22.0, "ac": 200, "av": 3}
    zone = {"__t": "c", "targetTemperature": said, "highest": 25.0, "strange": 1}
    world.take(change(zone1=zone, serialNumber="7", connectivity="wifi"))
    twin = world.graph.twins["t1"]
    assert twin["zone1"] == {"$metadata": {}, "targetTemperature": 22.0, "highest": 25.0}
    assert twin["serialNumber"] == "7"
    assert "connectivity" not in twin
    assert world.graph.twins["kitchen"]["targetTemperature"] == 22.0
    writes = world.graph.writes
    world.take(change(zone1=zone))
    assert world.graph.writes == writes
    world.take(change(zone1={"highest": None}, serialNumber=None))
    assert "serialNumber" not in twin
    assert "highest" not in twin["zone1"]
    # What is not there is not removed, and what is no section is none
    world.take(change(serialNumber=None, zone1="broken"))
    assert world.bridge.counts["changes"] == 4


def test_what_the_model_does_not_allow_is_left_out_and_said_once(world):
    wrong = change(zone1={"highest": "very", "targetTemperature": 20.0})
    counts = world.take(wrong, wrong)
    assert counts["refused"] == 2
    assert world.said[1:] == ["/zone1/highest: 'very' is not of the model's schema, left out"]
    assert world.graph.twins["t1"]["zone1"] == {"$metadata": {}, "targetTemperature": 20.0}


@pytest.mark.parametrize(("value", "kept"), [("warm", {}), (20.5, {"targetTemperature": 20.5})])
def test_a_set_point_that_the_room_does_not_take_costs_nothing_else(world, value, kept):
    counts = world.take(change(zone1={"targetTemperature": value, "highest": 25.0}), TELEMETRY)
    assert world.graph.twins["t1"]["zone1"] == {"$metadata": {}, "highest": 25.0, **kept}
    assert "targetTemperature" not in world.graph.twins["kitchen"]
    assert f"kitchen/targetTemperature: {value!r} is not of" in world.said[-1]
    assert counts["written"] == 3


def test_the_device_has_its_set_point_before_the_room(world):
    world.take(TELEMETRY)
    order, update = [], world.graph.update_digital_twin

    def note(name, operations):
        order.append(name)
        update(name, operations)

    world.graph.update_digital_twin = note
    world.take(change(zone1={"targetTemperature": 20}))
    assert order == ["t1", "kitchen"]


def test_what_was_reported_before_is_not_lost(world):
    world.twin.properties.reported = {"serialNumber": "7", "$version": 2}
    world.take(TELEMETRY)
    assert world.graph.twins["t1"]["serialNumber"] == "7"


def hub_refuses(status):
    return HttpOperationError(
        None, response=thing(status_code=status, reason="no", raise_for_status=lambda: None)
    )


def test_a_device_that_the_hub_has_no_more(world):
    world.twin = hub_refuses(404)
    silent = {**TELEMETRY, "model": ""}
    world.take(silent)
    assert world.said == ["the device t1 has announced no model yet"]
    world.take(TELEMETRY)
    assert world.graph.published == [("t1", "zone1", {"temperature": 21.5})]


def test_a_hub_that_cannot_answer_ends_it(world):
    world.twin = hub_refuses(500)
    with pytest.raises(HttpOperationError):
        world.take(TELEMETRY)


def test_a_device_that_nobody_placed_is_said_once():
    world = World(rooms={})
    assert world.take(TELEMETRY, TELEMETRY) == {"unknown": 1}
    assert world.said == [
        "the device t1 is not in the graph; create it, or put it into the file of --rooms"
    ]
    world.graph.twins["t1"] = {"$metadata": {"$model": DEVICE}, "zone1": {}}
    edge = {"$relationshipName": "isFeltBy", "$targetId": "t1", "component": "zone1"}
    world.graph.upsert_relationship("hall", "felt", edge)
    world.take(TELEMETRY)
    assert "temperature" not in world.graph.twins["kitchen"]
    # How the building is put together is looked up again now and then
    world.now_s[0] = REFRESH_S
    world.take(TELEMETRY)
    assert world.graph.twins["hall"]["temperature"] == 21.5


def test_a_room_that_comes_later_than_its_device(world):
    kitchen = world.graph.twins.pop("kitchen")
    counts = world.take(TELEMETRY, TELEMETRY)
    assert counts == {"created": 1, "telemetry": 2}
    assert world.said == [
        "the device t1 is in the graph now",
        "the room kitchen of t1 is not in the graph; create it",
    ]
    world.graph.twins["kitchen"] = kitchen
    world.now_s[0] = REFRESH_S
    world.take(TELEMETRY)
    assert world.graph.twins["kitchen"]["temperature"] == 21.5
    edge = world.graph.edges["kitchen", "kitchen-isFeltBy-t1-zone1"]
    assert edge["component"] == "zone1"


def test_a_device_without_a_model_is_asked_again(world):
    world.twin.additional_properties = {}
    silent = {**TELEMETRY, "model": ""}
    assert world.take(silent, silent) == {}
    assert world.said == ["the device t1 has announced no model yet"]
    assert world.take(TELEMETRY)["created"] == 1


@pytest.mark.parametrize("status", [400, 404, 412])
def test_what_the_graph_refuses_is_said_once_and_counted(world, status):
    world.graph.refuse = refused(status, "not like this\nand more")
    assert world.take(TELEMETRY, TELEMETRY)["refused"] == 2
    assert world.said[1:] == ["t1: not like this"]


@pytest.mark.parametrize("status", [None, 401, 403, 429, 500, 503])
def test_what_would_lose_events_ends_it(world, status):
    world.graph.refuse = refused(status)
    with pytest.raises(HttpResponseError):
        world.take(TELEMETRY)


def test_a_device_that_reports_no_section_of_a_component(world):
    counts = world.take(change(serialNumber="7"), TELEMETRY)
    assert world.graph.twins["t1"]["serialNumber"] == "7"
    assert counts["written"] == 3


def test_a_device_of_the_graph_that_no_room_feels():
    world = World(rooms={})
    world.graph.twins["t1"] = {"$metadata": {"$model": DEVICE}, "zone1": {}}
    edge = {"$relationshipName": "owns", "$targetId": "t1"}
    world.graph.upsert_relationship("house", "owns-t1", edge)
    assert world.take(TELEMETRY) == {"telemetry": 1}
    assert world.graph.published


def test_a_house_without_a_floor_and_a_floor_without_a_value(world):
    del world.graph.edges["house", "house-floor1"]
    world.graph.twins["hall"] = {"temperature": None}
    world.take(TELEMETRY)
    assert world.graph.twins["floor1"]["averageTemperature"] == 21.5
    assert "averageTemperature" not in world.graph.twins["house"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_temperature_that_is_no_number_is_no_rooms(world, value):
    world.take({**TELEMETRY, "body": {"temperature": value}}, TELEMETRY)
    assert world.graph.twins["floor1"]["averageTemperature"] == 20.0
    assert world.bridge.counts["written"] == 3
