"""Seed 003, the Azure Digital Twins client: each of its snippets, in the order of the document.

Where the document's page has lost lines (brackets, prints, calls), they are as its package has
them. Its first twin sets Prop1, a string, to 42: what the service says to that is kept, and then
the twin is made with a text. Tells on its last line what was seen.
"""

import json
import logging
import os
import sys
import uuid

from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.digitaltwins.core import DigitalTwinsClient, DigitalTwinsEventRoute
from azure.identity import DefaultAzureCredential

seen = {}

# Authentication: the document's own, which finds the identity in the environment
url = os.getenv("AZURE_URL")
credential = DefaultAzureCredential()
service_client = DigitalTwinsClient(url, credential)

# dt_models_lifecycle
component_id = "dtmi:samples:component1;1"
model_id = "dtmi:samples:TempModel;1"
temporary_component = {
    "@id": component_id,
    "@type": "Interface",
    "@context": "dtmi:dtdl:context;2",
    "displayName": "Component1",
    "contents": [
        {"@type": "Property", "name": "ComponentProp1", "schema": "string"},
        {"@type": "Telemetry", "name": "ComponentTelemetry1", "schema": "integer"},
    ],
}
temporary_model = {
    "@id": model_id,
    "@type": "Interface",
    "@context": "dtmi:dtdl:context;2",
    "displayName": "TempModel",
    "contents": [
        {"@type": "Property", "name": "Prop1", "schema": "string"},
        {"@type": "Component", "name": "Component1", "schema": component_id},
        {"@type": "Telemetry", "name": "Telemetry1", "schema": "integer"},
    ],
}
new_models = [temporary_component, temporary_model]
models = service_client.create_models(new_models)
seen["created"] = [model.id for model in models]
listed_models = service_client.list_models()
seen["listed"] = sorted(model.id for model in listed_models)
get_model = service_client.get_model(model_id)
seen["model"] = get_model.display_name

# dt_digitaltwins_lifecycle
digital_twin_id = "digitalTwin-" + str(uuid.uuid4())
temporary_twin = {"$metadata": {"$model": model_id}, "$dtId": digital_twin_id, "Prop1": 42}
try:
    service_client.upsert_digital_twin(digital_twin_id, temporary_twin)
except HttpResponseError as error:
    seen["as printed"] = [error.status_code, error.error.code, error.message]
temporary_twin = {
    **temporary_twin,
    "Prop1": "value",
    "Component1": {"$metadata": {}, "ComponentProp1": "value1"},
}
created_twin = service_client.upsert_digital_twin(digital_twin_id, temporary_twin)
get_twin = service_client.get_digital_twin(digital_twin_id)
seen["same twin"] = get_twin == created_twin and created_twin["Prop1"] == "value"

# dt_digitaltwins_query
query_expression = "SELECT * FROM digitaltwins"
query_result = service_client.query_twins(query_expression)
seen["queried"] = [twin["$dtId"] == digital_twin_id for twin in query_result]

# dt_component_lifecycle
component_name = "Component1"
patch = [{"op": "replace", "path": "/ComponentProp1", "value": "value2"}]
service_client.update_component(digital_twin_id, component_name, patch)
get_component = service_client.get_component(digital_twin_id, component_name)
seen["component"] = get_component["ComponentProp1"]

# dt_scenario: the models of a hospital's building, as the document names their relationships
FOLDER = sys.argv[1]
building = []
for name in ("building", "floor", "room", "hvac"):
    with open(os.path.join(FOLDER, f"{name}-1.json")) as file:
        building.append(json.load(file))
service_client.create_models(building)
ids = {}
for model in building:
    kind = model["@id"].split(":")[-1].split(";")[0]
    ids[kind] = kind.lower() + "Twin-" + str(uuid.uuid4())
    service_client.upsert_digital_twin(ids[kind], {"$metadata": {"$model": model["@id"]}})
building_twin_id, floor_twin_id = ids["Building"], ids["Floor"]
room_twin_id, hvac_twin_id = ids["Room"], ids["HVAC"]
hospital_relationships = [
    {
        "$relationshipId": "BuildingHasFloor",
        "$sourceId": building_twin_id,
        "$relationshipName": "has",
        "$targetId": floor_twin_id,
        "isAccessRestricted": False,
    },
    {
        "$relationshipId": "BuildingIsEquippedWithHVAC",
        "$sourceId": building_twin_id,
        "$relationshipName": "isEquippedWith",
        "$targetId": hvac_twin_id,
    },
    {
        "$relationshipId": "HVACCoolsFloor",
        "$sourceId": hvac_twin_id,
        "$relationshipName": "controlsTemperature",
        "$targetId": floor_twin_id,
    },
    {
        "$relationshipId": "FloorContainsRoom",
        "$sourceId": floor_twin_id,
        "$relationshipName": "contains",
        "$targetId": room_twin_id,
    },
]
for relationship in hospital_relationships:
    service_client.upsert_relationship(
        relationship["$sourceId"], relationship["$relationshipId"], relationship
    )

# dt_relationships_list, dt_incoming_relationships_list
relationships = service_client.list_relationships(building_twin_id)
seen["relationships"] = sorted(each["$relationshipId"] for each in relationships)
incoming_relationships = service_client.list_incoming_relationships(floor_twin_id)
seen["incoming"] = sorted(each.relationship_id for each in incoming_relationships)

# dt_scenario: an event route
event_route_id = "eventRoute-" + str(uuid.uuid4())
event_filter = (
    "$eventType = 'DigitalTwinTelemetryMessages' or "
    "$eventType = 'DigitalTwinLifecycleNotification'"
)
route = DigitalTwinsEventRoute(endpoint_name=os.environ["EVENT_HUB_NAME"], filter=event_filter)
service_client.upsert_event_route(event_route_id, route)
event_routes = service_client.list_event_routes()
seen["routes"] = [each.filter == event_filter for each in event_routes]

# dt_publish_telemetry, dt_publish_component_telemetry
telemetry_payload = '{"Telemetry1": 5}'
service_client.publish_telemetry(digital_twin_id, telemetry_payload)
service_client.publish_component_telemetry(digital_twin_id, component_name, telemetry_payload)
service_client.delete_event_route(event_route_id)

# Logging: of the client, and of one operation
lines = []


class Kept(logging.StreamHandler):
    def emit(self, record):
        lines.append(record.getMessage())


logger = logging.getLogger("azure")
logger.setLevel(logging.DEBUG)
logger.addHandler(Kept(stream=sys.stdout))
loud_client = DigitalTwinsClient(url, credential, logging_enable=True)
loud_client.get_model(model_id)
service_client.get_model(model_id, logging_enable=True)
logger.setLevel(logging.WARNING)
seen["logged"] = sum("/models/" in line for line in lines) >= 2

# And back: the twin, the models; errors are the package's own
service_client.delete_digital_twin(digital_twin_id)
try:
    service_client.get_digital_twin(digital_twin_id)
except ResourceNotFoundError as error:
    seen["deleted"] = error.error.code
service_client.decommission_model(model_id)
seen["decommissioned"] = service_client.get_model(model_id).decommissioned
service_client.delete_model(model_id)
service_client.delete_model(component_id)
seen["left"] = len(list(service_client.list_models()))
print(json.dumps(seen))
