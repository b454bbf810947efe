"""Seed 001, "Create a backend application": tags and desired properties, and the two queries.

Tells on its last line who was found, and the twin after it was replaced.
"""

import json
import os

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import QuerySpecification, Twin, TwinProperties

DEVICE_ID = os.environ["IOTHUB_DEVICE_ID"]
PLANT = "SELECT * FROM devices WHERE tags.location.plant = 'Redmond43'"
NETWORK = PLANT + " AND properties.reported.connectivity = '{}'"

iothub_registry_manager = IoTHubRegistryManager.from_connection_string(
    os.environ["IOTHUB_CONNECTION_STRING"]
)


def found(text: str) -> list[str]:
    query_result = iothub_registry_manager.query_iot_hub(QuerySpecification(query=text), None, 100)
    return [twin.device_id for twin in query_result.items]


before = found(PLANT)
new_tags = {"location": {"region": "US", "plant": "Redmond43"}}
twin = iothub_registry_manager.get_twin(DEVICE_ID)
twin_patch = Twin(tags=new_tags, properties=TwinProperties(desired={"power_level": 1}))
twin = iothub_registry_manager.update_twin(DEVICE_ID, twin_patch, twin.etag)
seen = {
    "before": before,
    "plant": found(PLANT),
    "cellular": found(NETWORK.format("cellular")),
    "wifi": found(NETWORK.format("wifi")),
    "tags": twin.tags,
    "power_level": twin.properties.desired["power_level"],
}
replaced = iothub_registry_manager.replace_twin(
    DEVICE_ID, Twin(tags={"only": "this"}, properties=TwinProperties(desired={})), twin.etag
)
seen["replaced"] = {
    "tags": replaced.tags,
    "power_level": replaced.properties.desired.get("power_level"),
    "plant": found(PLANT),
}
print(json.dumps(seen))
