"""Azure Digital Twins, by Microsoft's unmodified DigitalTwinsClient, plain and aio.

Every script runs twice: once as it stands, and once with the aio client, one call at a time.
"""

import asyncio
import os
import textwrap

import pytest
from sdk_process import run_sdk_script

from host_tools.hub.client_environment import connection_variables, without_other_identities
from host_tools.hub.launcher import serving
from host_tools.hub.trust import trust_environment

HEAD = """
import asyncio, json, os, sys
from azure.core import MatchConditions
from azure.core.exceptions import (
    ClientAuthenticationError, HttpResponseError, ResourceExistsError, ResourceModifiedError,
    ResourceNotFoundError)
from azure.digitaltwins.core import DigitalTwinsEventRoute

URL = os.environ["AZURE_URL"]
"""
PLAIN = """
from azure.digitaltwins.core import DigitalTwinsClient
from azure.identity import DefaultAzureCredential

client = DigitalTwinsClient(URL, DefaultAzureCredential())
"""
AIO = """
from azure.digitaltwins.core.aio import DigitalTwinsClient
from azure.identity.aio import DefaultAzureCredential

class Awaited:
    "The aio client, one call at a time."
    def __init__(self, client):
        self.client = client
        self.loop = asyncio.new_event_loop()

    def __getattr__(self, name):
        def call(*arguments, **options):
            found = getattr(self.client, name)(*arguments, **options)
            if hasattr(found, "__aiter__"):
                return iter(self.loop.run_until_complete(self.gathered(found)))
            return self.loop.run_until_complete(found)
        return call

    async def gathered(self, found):
        return [each async for each in found]

    async def end(self):
        await self.client.close()
        await credential.close()

credential = DefaultAzureCredential()
client = Awaited(DigitalTwinsClient(URL, credential))
import atexit
atexit.register(lambda: client.loop.run_until_complete(client.__dict__["client"].close()))
atexit.register(lambda: client.loop.run_until_complete(credential.close()))
"""
BODY = """
def refused(status, code, kind, where, call, *arguments, **options):
    try:
        found = call(*arguments, **options)
        if hasattr(found, "__next__") or hasattr(found, "by_page"):
            list(found)
    except kind as error:
        assert error.status_code == status, (error.status_code, error)
        assert error.response.headers["x-ms-error-code"] == code, error
        assert where in str(error), str(error)
    else:
        raise AssertionError("not refused")

def interface(dtmi, *contents, **more):
    return {"@id": dtmi, "@type": "Interface", "@context": "dtmi:dtdl:context;2",
            "contents": list(contents), **more}

def has(kind, name, schema=None, **more):
    return {"@type": kind, "name": name, **({"schema": schema} if schema else {}), **more}

SENSOR, SPACE, ROOM, FLOOR = (
    f"dtmi:com:test:{name};1" for name in ("Sensor", "Space", "Room", "Floor"))
MODELS = [
    interface(FLOOR, has("Relationship", "contains", target=ROOM, properties=[
                  has("Property", "isAccessRestricted", "boolean")]),
              has("Relationship", "exit", maxMultiplicity=1), extends=SPACE),
    interface(ROOM, has("Component", "sensor", SENSOR), has("Property", "temperature", "double"),
              extends=[SPACE], displayName="A room", description={"de": "Ein Raum"}),
    interface(SENSOR, has("Property", "offset", "double"), has("Telemetry", "reading", "double")),
    interface(SPACE, has("Property", "name", "string"), has("Property", "tags", {
        "@type": "Map", "mapKey": {"name": "key", "schema": "string"},
        "mapValue": {"name": "value", "schema": "string"}})),
]

def room(**properties):
    return {"$metadata": {"$model": ROOM}, "sensor": {"$metadata": {}}, **properties}

def building():
    client.create_models(MODELS)
    client.upsert_digital_twin("floor1", {"$metadata": {"$model": FLOOR}, "name": "First"})
    for number in range(1, 4):
        client.upsert_digital_twin(f"room{number}", room(temperature=18.5 + number))
        client.upsert_relationship("floor1", f"to{number}", {
            "$relationshipName": "contains", "$targetId": f"room{number}",
            "isAccessRestricted": number == 2})
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("twins")


@pytest.fixture(params=["plain", "aio"])
def run(folder, request):
    """Runs a script beside a fresh hub."""
    head = HEAD + (PLAIN if request.param == "plain" else AIO) + BODY

    async def start(script, look=None):
        place = folder / str(len(list(folder.iterdir())))
        place.mkdir()
        async with serving(folder / "hub", None) as server:
            server.ensure_device("dev1")
            ours = without_other_identities(os.environ)
            environment = {
                **ours,
                **connection_variables(server, "dev1", "dev1", ours),
                **trust_environment(place, server.certificates.ca_pem, ours),
            }
            await run_sdk_script(head + textwrap.dedent(script), environment)
            return None if look is None else look(server.hub)

    return lambda script, look=None: asyncio.run(start(script, look))


def test_models(run):
    run(
        """
        made = client.create_models(MODELS)
        assert [each.id for each in made] == [FLOOR, ROOM, SENSOR, SPACE]
        assert made[0].decommissioned is False and made[0].upload_time
        found = client.get_model(ROOM)
        assert found.model is None and found.display_name == {"en": "A room"}
        assert found.description == {"de": "Ein Raum"}
        assert client.get_model(ROOM, include_model_definition=True).model == MODELS[1]
        assert {each.id for each in client.list_models()} == {FLOOR, ROOM, SENSOR, SPACE}
        needed = client.list_models(dependencies_for=[ROOM], include_model_definition=True)
        assert {each.id: each.model["@id"] for each in needed} == {
            each: each for each in (ROOM, SENSOR, SPACE)}

        refused(409, "ModelAlreadyExists", ResourceExistsError, ROOM,
                client.create_models, [MODELS[1]])
        refused(409, "ModelReferencesNotDecommissioned", HttpResponseError, ROOM,
                client.decommission_model, SENSOR)
        refused(409, "ModelReferencesNotDeleted", ResourceExistsError, ROOM,
                client.delete_model, SENSOR)
        for call in (client.get_model, client.decommission_model, client.delete_model):
            refused(404, "ModelNotFound", ResourceNotFoundError, "nothing;1",
                    call, "dtmi:nothing;1")
        refused(404, "ModelNotFound", ResourceNotFoundError, "nothing;1",
                client.list_models, ["dtmi:nothing;1"])

        client.upsert_digital_twin("old", room())
        client.decommission_model(ROOM)
        assert client.get_model(ROOM).decommissioned is True
        refused(400, "ModelDecommissioned", HttpResponseError, ROOM,
                client.upsert_digital_twin, "new", room())
        client.update_digital_twin("old", [{"op": "add", "path": "/temperature", "value": 3}])
        client.delete_model(ROOM)
        assert client.get_digital_twin("old")["temperature"] == 3
        refused(404, "ModelNotFound", ResourceNotFoundError, ROOM, client.update_digital_twin,
                "old", [{"op": "add", "path": "/temperature", "value": 4}])
        client.delete_digital_twin("old")
        """
    )


def test_models_that_are_wrong_are_told_where(run):
    run(
        """
        def wrong(where, *documents):
            refused(400, "DTDLParserError", HttpResponseError, where,
                    client.create_models, list(documents))

        A = "dtmi:com:test:A;1"
        wrong("@id", {"@type": "Interface"})
        wrong("@id", interface("dtmi:com:test:A"))
        wrong("@context", {"@id": A, "@type": "Interface"})
        wrong("@type", {**interface(A), "@type": "Telemetry"})
        wrong("contents[0]/name", interface(A, has("Property", "9lives", "double")))
        wrong("contents[0]/name", interface(A, has("Property", "x" * 65, "double")))
        wrong("the name a is used twice", interface(
            A, has("Property", "a", "double"), has("Telemetry", "a", "double")))
        wrong("contents[0]/schema", interface(A, has("Property", "a", "decimal")))
        wrong("contents[0]/schema", interface(A, has("Property", "a", {
            "@type": "Array", "elementSchema": "double"})))
        wrong("contents[0]/schema/fields[0]", interface(A, has("Property", "a", {
            "@type": "Object", "fields": [{"name": "b", "schema": "none"}]})))
        wrong("contents[1]/@type", interface(
            A, has("Property", "a", "double"), has("Setting", "b", "double")))
        wrong("dtmi:com:test:B;1", interface(A, extends="dtmi:com:test:B;1"))
        wrong("dtmi:com:test:B;1", interface(A, has("Component", "b", "dtmi:com:test:B;1")))
        wrong("extends itself", interface(A, extends="dtmi:com:test:B;1"),
              interface("dtmi:com:test:B;1", extends=A))
        wrong("has components itself", interface(A, has("Component", "room", ROOM)), *MODELS)
        wrong("the name name is there twice", interface(
            A, has("Property", "name", "string"), extends=SPACE), MODELS[3])
        assert list(client.list_models()) == []
        refused(400, "LimitExceeded", HttpResponseError, "250", client.create_models,
                [interface(f"dtmi:com:test:M{number};1") for number in range(251)])
        """
    )


def test_twins(run):
    run(
        """
        client.create_models(MODELS)
        made = client.upsert_digital_twin("room1", room(temperature=20.5, name="Kitchen"))
        assert made["$dtId"] == "room1" and made["$etag"].startswith('W/"')
        assert made["$metadata"]["$model"] == ROOM
        first = made["$metadata"]["temperature"]["lastUpdateTime"]
        assert first.endswith("Z") and made["sensor"]["$metadata"]["$lastUpdateTime"]
        assert client.get_digital_twin("room1") == made

        client.update_digital_twin("room1", [
            {"op": "replace", "path": "/temperature", "value": 21},
            {"op": "add", "path": "/sensor/offset", "value": -0.5},
            {"op": "add", "path": "/tags", "value": {}},
            {"op": "add", "path": "/tags/a~1b", "value": "c"},
            {"op": "remove", "path": "/name"}])
        found = client.get_digital_twin("room1")
        assert (found["temperature"], found["sensor"]["offset"]) == (21, -0.5)
        assert found["tags"] == {"a/b": "c"} and "name" not in found
        assert found["$metadata"]["temperature"]["lastUpdateTime"] > first
        assert found["$etag"] != made["$etag"]

        old, new = {"etag": made["$etag"]}, {"etag": found["$etag"]}
        same = {"match_condition": MatchConditions.IfNotModified}
        patch = [{"op": "replace", "path": "/temperature", "value": 22}]
        refused(412, "PreconditionFailed", ResourceModifiedError, "room1",
                client.update_digital_twin, "room1", patch, **old, **same)
        client.update_digital_twin("room1", patch, **new, **same)
        refused(412, "PreconditionFailed", ResourceModifiedError, "room1",
                client.delete_digital_twin, "room1", **old, **same)
        refused(412, "PreconditionFailed", ResourceExistsError, "room1",
                client.upsert_digital_twin, "room1", room(),
                match_condition=MatchConditions.IfMissing)

        client.update_digital_twin("room1", [{
            "op": "add", "path": "/$metadata/temperature/sourceTime",
            "value": "2026-01-02T03:04:05Z"}])
        times = client.get_digital_twin("room1")["$metadata"]["temperature"]
        assert times["sourceTime"] == "2026-01-02T03:04:05Z"

        client.upsert_digital_twin("room1", room(name="Bath"))
        assert "temperature" not in client.get_digital_twin("room1")
        client.delete_digital_twin("room1")
        for call in (client.get_digital_twin, client.delete_digital_twin):
            refused(404, "DigitalTwinNotFound", ResourceNotFoundError, "room1", call, "room1")
        refused(404, "DigitalTwinNotFound", ResourceNotFoundError, "room1",
                client.update_digital_twin, "room1", patch)
        """
    )


def test_twins_that_do_not_fit_are_told_where(run):
    run(
        """
        client.create_models(MODELS)
        client.upsert_digital_twin("room1", room())

        def wrong(where, body, code="ValidationFailed"):
            refused(400, code, HttpResponseError, where, client.upsert_digital_twin, "new", body)

        wrong("/temperature", room(temperature="warm"))
        wrong("/warmth", room(warmth=20))
        wrong("/tags/a", room(tags={"a": 1}))
        wrong("/sensor/offset", {**room(), "sensor": {"$metadata": {}, "offset": True}})
        wrong("/sensor", {**room(), "sensor": {}})
        wrong("/sensor", {"$metadata": {"$model": ROOM}})
        wrong("/$metadata/$model", {"temperature": 20})
        wrong("/name", room(name=None))
        wrong("/name", room(name="x" * 4097))
        wrong("32768", room(tags={str(n): "x" * 4000 for n in range(9)}), "LimitExceeded")
        wrong("/$dtId", room(**{"$dtId": "other"}), "InvalidArgument")
        refused(404, "ModelNotFound", ResourceNotFoundError, "nothing;1",
                client.upsert_digital_twin, "new", {"$metadata": {"$model": "dtmi:nothing;1"}})
        refused(400, "InvalidArgument", HttpResponseError, "id of the twin",
                client.upsert_digital_twin, "a b", room())

        def broken(where, *patch, code="JsonPatchInvalid"):
            refused(400, code, HttpResponseError, where,
                    client.update_digital_twin, "room1", list(patch))

        broken("1 to 1000")
        broken("op is not", {"op": "move", "path": "/name", "value": "x"})
        broken("operation 0: path", {"op": "add", "path": "name", "value": "x"})
        broken("/name: there is no value yet", {"op": "replace", "path": "/name", "value": "x"})
        broken("/tags/a: its parent", {"op": "add", "path": "/tags/a", "value": "x"})
        broken("/$etag", {"op": "add", "path": "/$etag", "value": "x"})
        broken("/$metadata/$lastUpdateTime",
               {"op": "add", "path": "/$metadata/$lastUpdateTime", "value": "x"})
        broken("/temperature", {"op": "add", "path": "/temperature", "value": "x"},
               code="ValidationFailed")
        broken("/sensor", {"op": "remove", "path": "/sensor"}, code="ValidationFailed")
        broken("/$metadata/$model", {"op": "remove", "path": "/$metadata/$model"})
        times = client.get_digital_twin("room1")["$metadata"]
        assert times.keys() == {"$model", "$lastUpdateTime"}
        """
    )


def test_another_model_and_components(run):
    run(
        """
        client.create_models(MODELS)
        client.create_models([interface("dtmi:com:test:Room;2", has("Component", "meter", SENSOR),
                                        extends=ROOM)])
        client.upsert_digital_twin("room1", room(temperature=20))
        client.update_digital_twin("room1", [
            {"op": "replace", "path": "/$metadata/$model", "value": "dtmi:com:test:Room;2"},
            {"op": "add", "path": "/meter", "value": {"$metadata": {}, "offset": 1}}])
        found = client.get_digital_twin("room1")
        assert found["$metadata"]["$model"] == "dtmi:com:test:Room;2"
        assert found["temperature"] == 20

        patch = [{"op": "replace", "path": "/offset", "value": 2}]
        client.update_component("room1", "meter", patch)
        found = client.get_component("room1", "meter")
        assert found["offset"] == 2 and found["$metadata"]["offset"]["lastUpdateTime"]
        etag = client.get_digital_twin("room1")["$etag"]
        patch = [{"op": "replace", "path": "/offset", "value": 3}]
        same = {"match_condition": MatchConditions.IfNotModified}
        client.update_component("room1", "meter", patch, etag=etag, **same)
        refused(412, "PreconditionFailed", ResourceModifiedError, "room1",
                client.update_component, "room1", "meter", patch, etag=etag, **same)
        refused(400, "ValidationFailed", HttpResponseError, "/meter/none", client.update_component,
                "room1", "meter", [{"op": "add", "path": "/none", "value": 3}])
        refused(404, "ComponentNotFound", ResourceNotFoundError, "none",
                client.get_component, "room1", "none")
        refused(404, "ComponentNotFound", ResourceNotFoundError, "none",
                client.update_component, "room1", "none", patch)
        refused(404, "DigitalTwinNotFound", ResourceNotFoundError, "room9",
                client.get_component, "room9", "meter")
        refused(404, "DigitalTwinNotFound", ResourceNotFoundError, "room9",
                client.update_component, "room9", "meter", patch)
        """
    )


def test_relationships(run):
    run(
        """
        building()
        found = client.get_relationship("floor1", "to2")
        assert found["$sourceId"] == "floor1" and found["$targetId"] == "room2"
        assert found["isAccessRestricted"] is True and found["$etag"]
        assert sorted(e["$relationshipId"] for e in client.list_relationships("floor1")) == [
            "to1", "to2", "to3"]
        client.upsert_relationship("floor1", "out", {
            "$relationshipName": "exit", "$targetId": "room1", "$sourceId": "floor1",
            "$relationshipId": "out"})
        only = list(client.list_relationships("floor1", "exit"))
        assert [each["$relationshipId"] for each in only] == ["out"]
        incoming = list(client.list_incoming_relationships("room1"))
        assert {each.relationship_id for each in incoming} == {"to1", "out"}
        assert [each.source_id for each in incoming] == ["floor1"] * 2
        assert incoming[1].relationship_link.endswith("/floor1/relationships/to1")

        patch = [{"op": "replace", "path": "/isAccessRestricted", "value": False}]
        same = {"etag": found["$etag"], "match_condition": MatchConditions.IfNotModified}
        client.update_relationship("floor1", "to2", patch, **same)
        assert client.get_relationship("floor1", "to2")["isAccessRestricted"] is False
        refused(412, "PreconditionFailed", ResourceModifiedError, "to2",
                client.update_relationship, "floor1", "to2", patch, **same)
        refused(412, "PreconditionFailed", ResourceModifiedError, "to2",
                client.delete_relationship, "floor1", "to2", **same)
        body = {"$relationshipName": "contains", "$targetId": "room2"}
        refused(412, "PreconditionFailed", ResourceExistsError, "to2",
                client.upsert_relationship, "floor1", "to2", body,
                match_condition=MatchConditions.IfMissing)

        def wrong(status, code, where, source, **changes):
            kind = ResourceNotFoundError if status == 404 else HttpResponseError
            refused(status, code, kind, where,
                    client.upsert_relationship, source, "new", {**body, **changes})

        wrong(400, "InvalidRelationship", "holds", "floor1", **{"$relationshipName": "holds"})
        wrong(400, "InvalidRelationship", "floor1", "floor1", **{"$targetId": "floor1"})
        wrong(400, "InvalidRelationship", "exit", "floor1",
              **{"$relationshipName": "exit", "$targetId": "room3"})
        wrong(400, "ValidationFailed", "/colour", "floor1", colour="red")
        wrong(400, "ValidationFailed", "/isAccessRestricted", "floor1", isAccessRestricted="no")
        wrong(400, "ValidationFailed", "/$targetId", "floor1", **{"$targetId": 3})
        wrong(404, "TargetDigitalTwinNotFound", "room9", "floor1", **{"$targetId": "room9"})
        wrong(404, "DigitalTwinNotFound", "floor9", "floor9")
        refused(400, "JsonPatchInvalid", HttpResponseError, "$targetId",
                client.update_relationship, "floor1", "to2",
                [{"op": "replace", "path": "/$targetId", "value": "room1"}])
        for call in (client.get_relationship, client.delete_relationship):
            refused(404, "RelationshipNotFound", ResourceNotFoundError, "none",
                    call, "floor1", "none")
        refused(404, "RelationshipNotFound", ResourceNotFoundError, "none",
                client.update_relationship, "floor1", "none", patch)
        for call in (client.list_relationships, client.list_incoming_relationships):
            refused(404, "DigitalTwinNotFound", ResourceNotFoundError, "floor9", call, "floor9")

        for twin in ("floor1", "room3"):
            refused(400, "RelationshipsNotDeleted", HttpResponseError, "to",
                    client.delete_digital_twin, twin)
        client.delete_relationship("floor1", "to3")
        client.delete_digital_twin("room3")
        """
    )


def test_queries(run):
    run(
        """
        building()
        def ask(text):
            return list(client.query_twins(text))

        def ids(text):
            return sorted(row["$dtId"] for row in ask(text))

        assert ids("SELECT * FROM digitaltwins") == ["floor1", "room1", "room2", "room3"]
        assert ids("select * from DIGITALTWINS where temperature > 19.5") == ["room2", "room3"]
        assert ids("SELECT * FROM DIGITALTWINS T WHERE T.temperature = 19.5") == ["room1"]
        assert ids(f"SELECT * FROM DIGITALTWINS WHERE IS_OF_MODEL('{SPACE}')") == [
            "floor1", "room1", "room2", "room3"]
        assert ids(f"SELECT * FROM DIGITALTWINS T WHERE IS_OF_MODEL(T, '{SPACE}', exact)") == []
        assert ids(f"SELECT * FROM DIGITALTWINS WHERE $metadata.$model = '{FLOOR}'") == ["floor1"]
        assert ids("SELECT * FROM DIGITALTWINS WHERE $dtId IN ['room1', 'room3', 'x']") == [
            "room1", "room3"]
        assert ids("SELECT * FROM DIGITALTWINS WHERE $dtId NIN ['room1', 'floor1']") == [
            "room2", "room3"]
        assert ids("SELECT * FROM DIGITALTWINS WHERE STARTSWITH(name, 'Fi')") == ["floor1"]
        assert ids("SELECT * FROM DIGITALTWINS WHERE NOT IS_DEFINED(temperature)") == ["floor1"]
        assert ids("SELECT * FROM DIGITALTWINS WHERE ENDSWITH($dtId, '2') OR CONTAINS(name, 'irs')"
                   ) == ["floor1", "room2"]
        for test in ("IS_NUMBER(temperature)", "IS_PRIMITIVE(temperature)", "IS_OBJECT(sensor)"):
            assert ids(f"SELECT * FROM DIGITALTWINS WHERE {test}") == ["room1", "room2", "room3"]
        assert ask("SELECT COUNT() FROM DIGITALTWINS WHERE temperature >= 20.5") == [{"COUNT": 2}]
        assert len(ask("SELECT TOP(2) * FROM DIGITALTWINS")) == 2
        assert len(ask("SELECT TOP(2) FROM DIGITALTWINS")) == 2
        assert ask("SELECT T.$dtId, T.temperature AS t FROM DIGITALTWINS T WHERE T.$dtId = 'room1'"
                   ) == [{"$dtId": "room1", "t": 19.5}]

        rooms = ask("SELECT R FROM DIGITALTWINS F JOIN R RELATED F.contains C "
                    "WHERE F.$dtId = 'floor1' AND R.temperature > 20 "
                    "AND C.isAccessRestricted = false")
        assert [row["R"]["$dtId"] for row in rooms] == ["room3"]
        floors = ask("SELECT F, C FROM DIGITALTWINS F JOIN R RELATED F.contains C "
                     "WHERE R.$dtId = 'room2'")
        assert floors[0]["F"]["$dtId"] == "floor1" and floors[0]["C"]["$targetId"] == "room2"
        found = ask("SELECT * FROM RELATIONSHIPS R WHERE R.$sourceId = 'floor1' "
                    "AND R.isAccessRestricted = true")
        assert [row["$relationshipId"] for row in found] == ["to2"]

        def wrong(where, text):
            refused(400, "SqlQueryError", HttpResponseError, where, client.query_twins, text)

        wrong("At character 1", "CHOOSE * FROM DIGITALTWINS")
        wrong("At character 42", "SELECT * FROM DIGITALTWINS T WHERE T.x = = 3")
        wrong("DIGITALTWINS or RELATIONSHIPS", "SELECT * FROM devices")
        wrong("$dtId", "SELECT R FROM DIGITALTWINS F JOIN R RELATED F.contains")
        wrong("SELECT *", "SELECT * FROM DIGITALTWINS F JOIN R RELATED F.contains "
              "WHERE F.$dtId = 'floor1'")
        wrong("SELECT *", "SELECT TOP(1) FROM DIGITALTWINS F JOIN R RELATED F.contains "
              "WHERE F.$dtId = 'floor1'")
        wrong("SHOUT", "SELECT * FROM DIGITALTWINS WHERE SHOUT(name)")
        wrong("8000", "SELECT * FROM DIGITALTWINS WHERE name = '" + "x" * 8000 + "'")
        wrong("50", "SELECT * FROM DIGITALTWINS WHERE $dtId IN [" + ",".join(["'a'"] * 51) + "]")
        wrong("50 AND and OR", "SELECT * FROM DIGITALTWINS WHERE " + " OR ".join(["a = 1"] * 52))
        wrong("5 JOINs", "SELECT A FROM DIGITALTWINS A " + "".join(
            f"JOIN B{n} RELATED A.contains " for n in range(6)) + "WHERE A.$dtId = 'x'")
        wrong("not an alias", "SELECT R FROM DIGITALTWINS F JOIN R RELATED F.contains "
              "WHERE F.$dtId = 'floor1' AND temperature > 3")
        """
    )


def test_pages(run):
    run(
        """
        client.create_models(MODELS)
        client.create_models([interface(f"dtmi:com:test:M{n};1") for n in range(230)])
        assert len({each.id for each in client.list_models()}) == 234
        whole = client.list_models(include_model_definition=True)
        assert len([each for each in whole if each.model]) == 234
        client.upsert_digital_twin("floor1", {"$metadata": {"$model": FLOOR}})
        for n in range(150):
            client.upsert_digital_twin(f"room{n}", room())
            client.upsert_relationship("floor1", f"to{n}", {
                "$relationshipName": "contains", "$targetId": f"room{n}"})
        assert len({e["$relationshipId"] for e in client.list_relationships("floor1")}) == 150
        assert len({t["$dtId"] for t in client.query_twins("SELECT * FROM DIGITALTWINS")}) == 151
        top = client.query_twins("SELECT TOP(120) T.$dtId FROM DIGITALTWINS T")
        assert len(list(top)) == 120

        # Deleting what an iteration gives, which the pages after it must not notice
        for each in client.list_relationships("floor1"):
            client.delete_relationship("floor1", each["$relationshipId"])
        assert list(client.list_relationships("floor1")) == []
        for each in client.query_twins("SELECT * FROM DIGITALTWINS"):
            client.delete_digital_twin(each["$dtId"])
        assert list(client.query_twins("SELECT * FROM DIGITALTWINS")) == []
        """
    )


def test_routes_and_what_they_deliver(run):
    def look(hub):
        return [
            (event.properties["cloudEvents:type"], event.properties.get("cloudEvents:subject", ""))
            for partition in range(hub.telemetry.partitions)
            for event in hub.telemetry.read(partition)
        ]

    told = run(
        """
        ENDPOINT = os.environ["EVENT_HUB_NAME"]
        route = DigitalTwinsEventRoute(
            endpoint_name=ENDPOINT, filter="type = 'Microsoft.DigitalTwins.Twin.Update' AND "
            "STARTS_WITH(subject, 'room') AND $body.modelId = '%s'" % ROOM)
        client.upsert_event_route("updates", route)
        client.upsert_event_route("telemetry", DigitalTwinsEventRoute(
            endpoint_name=ENDPOINT, filter="$eventType = 'DigitalTwinTelemetryMessages' or "
            "$eventType = 'DigitalTwinLifecycleNotification'"))
        found = client.get_event_route("updates")
        assert (found.id, found.endpoint_name, found.filter) == ("updates", ENDPOINT, route.filter)
        assert {each.id for each in client.list_event_routes()} == {"updates", "telemetry"}

        building()
        client.update_digital_twin("floor1", [{"op": "add", "path": "/name", "value": "1"}])
        client.update_digital_twin("room1", [{"op": "add", "path": "/temperature", "value": 1}])
        client.publish_telemetry("room1", {"reading": 1})
        client.publish_telemetry("room1", '{"reading": 1}')
        client.publish_component_telemetry("room1", "sensor", {"reading": 2}, message_id="m1")
        client.delete_event_route("telemetry")
        client.publish_telemetry("room1", {"reading": 3})

        refused(404, "DigitalTwinNotFound", ResourceNotFoundError, "room9",
                client.publish_telemetry, "room9", {})
        refused(404, "DigitalTwinNotFound", ResourceNotFoundError, "room9",
                client.publish_component_telemetry, "room9", "sensor", {})
        refused(404, "ComponentNotFound", ResourceNotFoundError, "none",
                client.publish_component_telemetry, "room1", "none", {})
        for call in (client.get_event_route, client.delete_event_route):
            refused(404, "EventRouteNotFound", ResourceNotFoundError, "none", call, "none")

        def wrong(code, where, name="new", endpoint=ENDPOINT, filter="true"):
            refused(400, code, HttpResponseError, where, client.upsert_event_route, name,
                    DigitalTwinsEventRoute(endpoint_name=endpoint, filter=filter))
        wrong("EventRouteEndpointInvalid", "nowhere", endpoint="nowhere")
        wrong("EventRouteFilterInvalid", "At character 7", filter="type == 'x'")
        wrong("EventRouteIdInvalid", "id", name="a b")
        for number in range(5):
            client.upsert_event_route(f"more{number}", route)
        wrong("LimitExceeded", "6")
        """,
        look,
    )
    assert sorted(told) == [
        *[("Microsoft.DigitalTwins.Twin.Create", twin) for twin in ("floor1", "room1")],
        *[("Microsoft.DigitalTwins.Twin.Create", twin) for twin in ("room2", "room3")],
        ("Microsoft.DigitalTwins.Twin.Update", "room1"),
        *[("microsoft.iot.telemetry", "")] * 2,
        ("microsoft.iot.telemetry", "sensor"),
    ]


def test_bulk_jobs(run, tmp_path):
    """The client has no method for them; its service has."""
    run(
        f"""
        import pathlib, time, requests
        from azure.identity import DefaultAzureCredential as Plain

        folder = pathlib.Path({str(tmp_path)!r})
        token = Plain().get_token("https://digitaltwins.azure.net/.default").token

        def call(verb, path, status, body=None):
            answer = requests.request(
                verb, URL + path, params={{"api-version": "2023-10-31"}}, json=body,
                headers={{"Authorization": "Bearer " + token}}, verify=os.environ["SSL_CERT_FILE"])
            assert answer.status_code == status, answer.text
            return answer

        def ended(path):
            while (job := call("GET", path, 200).json())["status"] == "running":
                time.sleep(0.05)
            return job["status"]

        lines = [{{"Section": "Header"}}, {{"fileVersion": "1.0.0"}}, {{"Section": "Models"}},
                 MODELS[3], {{"Section": "Twins"}},
                 {{"$dtId": "hall", "$metadata": {{"$model": SPACE}}, "name": "Hall"}}]
        (folder / "in.ndjson").write_text("\\n".join(map(json.dumps, lines)))
        places = {{"inputBlobUri": folder.as_uri() + "/in.ndjson",
                  "outputBlobUri": folder.as_uri() + "/out.ndjson"}}
        call("PUT", "/jobs/imports/one", 201, places)
        assert ended("/jobs/imports/one") == "succeeded"
        assert client.get_digital_twin("hall")["name"] == "Hall"
        (job,) = call("GET", "/jobs/imports", 200).json()["value"]
        assert job["id"] == "one"
        call("POST", "/jobs/imports/one/cancel", 400)
        begun = call("PUT", "/jobs/deletions/all", 202)
        assert begun.headers["Operation-Location"].startswith(URL + "/jobs/deletions/all")
        assert ended("/jobs/deletions/all") == "succeeded"
        assert list(client.list_models()) == []
        assert len(call("GET", "/jobs/deletions", 200).json()["value"]) == 1
        call("DELETE", "/jobs/imports/one", 204)
        call("GET", "/jobs/imports/one", 404)
        """
    )


def test_who_may(run):
    run(
        """
        from azure.core.credentials import AccessToken, AccessTokenInfo

        class Given:
            "A credential that has the token it was given."
            def get_token(self, *scopes, **options):
                return AccessToken("nonsense", 2 ** 33)
            def get_token_info(self, *scopes, options=None):
                return AccessTokenInfo("nonsense", 2 ** 33)

        from azure.digitaltwins.core import DigitalTwinsClient as Plain
        refused(401, "Unauthorized", ClientAuthenticationError, "token",
                Plain(URL, Given()).get_digital_twin, "room1")
        """
    )
