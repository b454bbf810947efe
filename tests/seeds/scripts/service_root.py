"""Seed 000, the calls on a device without components, as a user's script would hold them.

Only the connection string and the device's name come from the environment.
"""

import datetime
import json
import os
import time

from azure.iot.hub import DigitalTwinClient, IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, Twin, TwinProperties

connection_string = os.environ["IOTHUB_CONNECTION_STRING"]
device_id = os.environ["IOTHUB_DEVICE_ID"]
registry = IoTHubRegistryManager(connection_string)
digital_twins = DigitalTwinClient(connection_string)
seen = {}

# Get the device twin and model id
twin = registry.get_twin(device_id)
seen["modelId"] = twin.additional_properties["modelId"]

# Update device twin, default component
twin_patch = Twin()
twin_patch.properties = TwinProperties(desired={"targetTemperature": 42})
updated_twin = registry.update_twin(device_id, twin_patch, twin.etag)
seen["desired"] = updated_twin.properties.desired["targetTemperature"]

# Call command: the payload is a datetime and not text, as the document passes it
method_payload = datetime.datetime.now() - datetime.timedelta(minutes=2)
device_method = CloudToDeviceMethod(method_name="getMaxMinReport", payload=method_payload)
result = registry.invoke_device_method(device_id, device_method)
seen["report"] = {"status": result.status, "payload": result.payload}

# Digital twin: read, update, command
digital_twin = digital_twins.get_digital_twin(device_id)
seen["digitalTwinModel"] = digital_twin["$metadata"]["$model"]
patch = [{"op": "add", "path": "/targetTemperature", "value": 42}]
digital_twins.update_digital_twin(device_id, patch)
payload = datetime.datetime.now() - datetime.timedelta(minutes=2)
seen["digitalTwinReport"] = digital_twins.invoke_command(
    device_id, "getMaxMinReport", payload, 3, 7
)

time.sleep(2)  # the acknowledgement of the last update is on its way
reported = registry.get_twin(device_id).properties.reported
seen["ack"] = reported["targetTemperature"]
seen["desiredVersion"] = registry.get_twin(device_id).properties.desired["$version"]
print(json.dumps(seen))
