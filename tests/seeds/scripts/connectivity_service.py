"""Seed 002, AddTagsAndQuery.py, with azure-iot-hub in the place of the retired client.

Its argument is the network to look for; what it found is on its last line.
"""

import json
import os
import sys

from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import QuerySpecification, Twin

DEVICE_ID = os.environ["IOTHUB_DEVICE_ID"]
NETWORK = sys.argv[1]

manager = IoTHubRegistryManager.from_connection_string(os.environ["IOTHUB_CONNECTION_STRING"])
statistics = manager.get_device_registry_statistics()
listed = [device.device_id for device in manager.get_devices(statistics.total_device_count)]
for device_id in listed:
    if device_id == DEVICE_ID:
        tags = {"location": {"region": "US", "plant": "Redmond43"}}
        manager.update_twin(device_id, Twin(tags=tags), "*")


def found(condition: str) -> list[str]:
    query = QuerySpecification(query=f"SELECT * FROM devices WHERE {condition}")
    return [twin.device_id for twin in manager.query_iot_hub(query).items]


in_plant = "tags.location.plant = 'Redmond43'"
seen = {
    "total": statistics.total_device_count,
    "enabled": statistics.enabled_device_count,
    "disabled": statistics.disabled_device_count,
    "listed": listed,
    "in_plant": found(in_plant),
    "on_network": found(f"{in_plant} AND properties.reported.connectivity = '{NETWORK}'"),
}
print(json.dumps(seen))
