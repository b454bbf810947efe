"""`thermo twins …` beside a hub, as a person uses it: nothing known but the environment."""

import pytest
from cloud_run import driven

ROOM = "dtmi:com:example:Room;1"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with driven(tmp_path_factory.mktemp("work")) as run_one:

        def twins(*arguments):
            return run_one("twins", *arguments)

        assert twins("models", "upload").code == 0
        yield twins


def test_models(run):
    again = run("models", "upload")
    assert "0 models are uploaded, 9 were there already" in again.err
    found = {each["id"]: each for each in run("models", "list", "--json").json()}
    assert len(found) == 9
    assert found[ROOM]["displayName"] == "Room"
    assert run("models", "show", ROOM).json()["@id"] == ROOM
    refused = run("models", "delete", "dtmi:com:example:Thermostat;1")
    assert refused.code == 1
    assert "refused it with 409 (ModelReferencesNotDeleted" in refused.err
    assert refused.err.count("\n") == 1
    hvac = "dtmi:com:example:HVAC;1"
    assert run("models", "decommission", hvac).code == 0
    assert "decommissioned" in run("models", "list").out
    assert "ModelDecommissioned" in run("create", "hvac", "--model", hvac).err


def test_a_building(run):
    assert run("create", "floor1", "--model", "dtmi:com:example:Floor;1", "name=First").code == 0
    assert run("create", "kitchen", "--model", ROOM, "temperature=21.5").code == 0
    device = "dtmi:com:example:TemperatureController;1"
    assert run("create", "t1", "--model", device, "thermostat1.targetTemperature=20").code == 0
    assert "PreconditionFailed" in run("create", "t1", "--model", device).err
    assert run("relate", "floor1", "contains", "kitchen", "isAccessRestricted=false").code == 0
    assert run("relate", "kitchen", "isFeltBy", "t1", "component=thermostat1").code == 0
    assert "InvalidRelationship" in run("relate", "kitchen", "contains", "t1").err

    assert run("update", "kitchen", "name=Kitchen", "temperature=22").code == 0
    assert run("update", "t1", "targetTemperature=21", "--component", "thermostat1").code == 0
    shown = run("show", "t1", "--json").json()
    assert shown["twin"]["thermostat1"]["targetTemperature"] == 21
    table = run("show", "kitchen").out
    assert "Kitchen" in table
    assert "isFeltBy" in table
    assert "floor1" in table
    assert "ValidationFailed: /colour" in run("update", "kitchen", "colour=red").err

    text = "SELECT R.$dtId, R.temperature FROM DIGITALTWINS F JOIN R RELATED F.contains "
    rows = run("query", text + "WHERE F.$dtId = 'floor1' AND R.temperature > 21", "--json").json()
    assert rows == [{"$dtId": "kitchen", "temperature": 22}]
    assert "kitchen" in run("query", "SELECT * FROM DIGITALTWINS").out
    wrong = run("query", "SELECT * FROM nothing")
    assert "SqlQueryError" in wrong.err
    assert wrong.err.count("\n") == 1

    assert "RelationshipsNotDeleted" in run("delete", "kitchen").err
    assert run("relate", "kitchen", "isFeltBy", "t1", "--remove").code == 0
    assert run("delete", "kitchen", "--with-relationships").code == 0
    assert "DigitalTwinNotFound" in run("show", "kitchen").err


def test_routes_and_telemetry(run):
    assert run("create", "lobby", "--model", ROOM).code == 0
    added = run("routes", "--add", "all", "events", "true", "--json").json()
    assert added == [{"id": "all", "endpoint": "events", "filter": "true"}]
    assert run("telemetry", "lobby", '{"people": 3}').code == 0
    assert "EventRouteFilterInvalid" in run("routes", "--add", "x", "events", "type is").err
    assert run("routes", "--delete", "all", "--json").json() == []


def test_the_command_line_is_explained(run):
    assert run("create", "x").code == 2
    assert "--model" in run("create", "x").err
    http = run("query", "SELECT * FROM DIGITALTWINS", "--twins", "http://localhost:1")
    assert "is not https" in http.err
