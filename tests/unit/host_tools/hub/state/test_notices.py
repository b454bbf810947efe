"""What the hub tells of itself, in the words that Microsoft's documents print."""

import json

import pytest
from doubles.hub_connection import FakeConnection
from doubles.hub_in_memory import make_hub

from host_tools.hub.state.notices import CONNECTION, DIGITAL_TWIN, LIFECYCLE, SOURCES, TWIN

NOW_S = 1603289442.41712


def hub_with(*routes):
    hub = make_hub("d1")
    hub.clock.now_s = NOW_S
    hub.notices.routes = routes
    return hub


def told(hub):
    events = [e for part in range(hub.telemetry.partitions) for e in hub.telemetry.read(part)]
    return [(event, json.loads(event.body)) for event in events]


def bodies(hub):
    return [body for _, body in told(hub)]


def test_nothing_is_told_without_a_route():
    hub = hub_with()
    hub.twins.update_desired("d1", {"tags": {"a": 1}})
    hub.twins.update_reported("d1", {"b": 2})
    hub.connections.attach("d1", FakeConnection())
    hub.registry.delete("d1")
    assert told(hub) == []


def test_a_report_without_components_as_the_guide_prints_it():
    hub = hub_with(TWIN, DIGITAL_TWIN)
    hub.twins.update_reported("d1", {"maxTempSinceLastReboot": 10.96})
    (twin, body), (digital, patch) = told(hub)
    time = "2020-10-21T14:10:42.417120Z"
    assert body == {
        "version": 2,
        "properties": {
            "reported": {
                "maxTempSinceLastReboot": 10.96,
                "$metadata": {
                    "$lastUpdated": time,
                    "maxTempSinceLastReboot": {"$lastUpdated": time},
                },
                "$version": 2,
            }
        },
    }
    assert patch == [
        {
            "op": "add",
            "path": "/$metadata/maxTempSinceLastReboot",
            "value": {"lastUpdateTime": time},
        },
        {"op": "add", "path": "/maxTempSinceLastReboot", "value": 10.96},
    ]
    assert twin.properties == {
        "hubName": "hub.example.net",
        "deviceId": "d1",
        "operationTimestamp": time,
        "iothub-message-schema": "twinChangeNotification",
        "opType": "updateTwin",
    }
    assert twin.annotations == {
        "iothub-connection-device-id": "d1",
        "iothub-enqueuedtime": 1603289442417,
        "iothub-message-source": "twinChangeEvents",
    }
    assert twin.system["content-type"] == "application/json"
    assert digital.system["content-type"] == "application/json-patch+json"
    # One write, one correlation id
    assert twin.system["correlation-id"] == digital.system["correlation-id"]
    assert digital.properties["iothub-message-schema"] == "digitalTwinChangeNotification"


def test_the_first_report_of_a_component_is_one_operation():
    hub = hub_with(DIGITAL_TWIN)
    hub.twins.update_reported("d1", {"t1": {"__t": "c", "maxTempSinceLastReboot": 98.34}})
    hub.clock.now_s += 1
    hub.twins.update_reported("d1", {"t1": {"__t": "c", "maxTempSinceLastReboot": 99}})
    first, second = bodies(hub)
    marks = {"maxTempSinceLastReboot": {"lastUpdateTime": "2020-10-21T14:10:42.417120Z"}}
    value = {"$metadata": marks, "maxTempSinceLastReboot": 98.34}
    assert first == [{"op": "add", "path": "/t1", "value": value}]
    later = {"lastUpdateTime": "2020-10-21T14:10:43.417120Z"}
    assert second == [
        {"op": "add", "path": "/t1/$metadata/maxTempSinceLastReboot", "value": later},
        {"op": "add", "path": "/t1/maxTempSinceLastReboot", "value": 99},
    ]


def test_a_desired_value_and_its_acknowledgement():
    hub = hub_with(DIGITAL_TWIN)
    hub.twins.update_reported("d1", {"t1": {"__t": "c", "x": 1}})
    wish = {"properties": {"desired": {"t1": {"__t": "c", "target": 21}}}}
    hub.twins.update_desired("d1", wish)
    ack = {"t1": {"__t": "c", "target": {"value": 21, "ac": 200, "av": 2, "ad": "ok"}}}
    hub.twins.update_reported("d1", ack)
    _, asked, acked = bodies(hub)
    (operation,) = asked
    assert operation["path"] == "/t1/$metadata/target"
    assert (operation["value"]["desiredValue"], operation["value"]["desiredVersion"]) == (21, 2)
    assert [each["path"] for each in acked] == ["/t1/$metadata/target", "/t1/target"]
    marks = acked[0]["value"]
    assert (marks["ackCode"], marks["ackVersion"], marks["ackDescription"]) == (200, 2, "ok")
    assert acked[1]["value"] == 21


def test_what_is_taken_away_is_removed():
    hub = hub_with(DIGITAL_TWIN)
    hub.twins.update_reported("d1", {"a/b": 1, "t1": {"__t": "c", "x": 1}})
    hub.twins.update_reported("d1", {"a/b": None, "t1": None})
    assert bodies(hub)[1] == [
        {"op": "remove", "path": "/$metadata/a~1b"},
        {"op": "remove", "path": "/a~1b"},
        {"op": "remove", "path": "/t1"},
    ]


def test_tags_and_desired_are_told_with_what_changed_only():
    hub = hub_with(TWIN)
    before = {"tags": {"a": 1}, "properties": {"desired": {"x": {"y": 1, "z": 2}, "w": 3}}}
    hub.twins.update_desired("d1", before)
    hub.twins.update_desired("d1", {"tags": {"b": 2}})
    hub.twins.update_desired("d1", {"properties": {"desired": {"x": {"y": 5}}}})
    _, tags, desired = bodies(hub)
    assert tags == {"version": 3, "tags": {"b": 2}}
    section = desired["properties"]["desired"]
    assert (section["x"], section["$version"]) == ({"y": 5}, 3)
    assert set(section["$metadata"]["x"]) == {"$lastUpdated", "$lastUpdatedVersion", "y"}
    assert "tags" not in desired


def test_a_replacement_is_told_whole():
    hub = hub_with(TWIN)
    hub.twins.update_desired("d1", {"tags": {"a": 1}}, replace=True)
    ((event, body),) = told(hub)
    assert event.properties["opType"] == "replaceTwin"
    assert (body["deviceId"], body["tags"]) == ("d1", {"a": 1})
    assert body["etag"] == hub.twins.get("d1")["etag"]
    assert body["properties"]["reported"]["$version"] == 1


def test_the_life_of_a_device():
    hub = hub_with(LIFECYCLE)
    hub.registry.create({"deviceId": "d2"})
    hub.twins.update_reported("d2", {"a": 1})
    hub.registry.delete("d2")
    hub.registry.create({"deviceId": "d2"})
    events = [(e.properties["opType"], body) for e, body in told(hub) if e.device_id == "d2"]
    assert [name for name, _ in events] == [
        "createDeviceIdentity",
        "deleteDeviceIdentity",
        "createDeviceIdentity",
    ]
    assert events[1][1]["properties"]["reported"]["a"] == 1
    assert all(set(body) == {"deviceId", "etag", "version", "properties"} for _, body in events)


def test_connections_are_told_when_they_change_and_can_be_ordered():
    hub = hub_with(CONNECTION)
    first, second = FakeConnection(), FakeConnection()
    hub.connections.attach("d1", first)
    hub.connections.attach("d1", second)  # takes over: connected it was
    hub.connections.detach("d1", first)
    hub.connections.detach("d1", second)
    hub.connections.attach("d1", first)
    hub.connections.drop("d1", "disabled")
    events = [(e.properties["opType"], body["sequenceNumber"]) for e, body in told(hub)]
    names = [name for name, _ in events]
    assert names == ["deviceConnected", "deviceDisconnected"] * 2
    numbers = [number for _, number in events]
    assert numbers == sorted(numbers)
    assert all(len(number) == 64 and int(number, 16) > 0 for number in numbers)


@pytest.mark.parametrize("source", SOURCES)
def test_one_route_tells_its_own_kind_only(source):
    hub = hub_with(source)
    hub.registry.create({"deviceId": "d2"})
    hub.connections.attach("d2", FakeConnection())
    hub.twins.update_reported("d2", {"a": 1})
    assert {event.annotations["iothub-message-source"] for event, _ in told(hub)} == {source}
