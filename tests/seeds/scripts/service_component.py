"""Seed 000, the calls on a device with components, as a user's script would hold them.

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

# Update device twin, component
twin_patch = Twin()
twin_patch.properties = TwinProperties(
    desired={"thermostat1": {"__t": "c", "targetTemperature": 42}}
)
updated_twin = registry.update_twin(device_id, twin_patch, twin.etag)
seen["desired"] = updated_twin.properties.desired["thermostat1"]

# Call command on a component, and one that the default component does not have
method_payload = datetime.datetime.now() - datetime.timedelta(minutes=2)
device_method = CloudToDeviceMethod(
    method_name="thermostat1*getMaxMinReport", payload=method_payload
)
result = registry.invoke_device_method(device_id, device_method)
seen["report"] = {"status": result.status, "payload": result.payload}
device_method = CloudToDeviceMethod(method_name="getMaxMinReport", payload=method_payload)
seen["rootStatus"] = registry.invoke_device_method(device_id, device_method).status

# Digital twin: read, update, command
digital_twin = digital_twins.get_digital_twin(device_id)
seen["digitalTwinModel"] = digital_twin["$metadata"]["$model"]
patch = [{"op": "add", "path": "/thermostat1/targetTemperature", "value": 42}]
digital_twins.update_digital_twin(device_id, patch)
payload = datetime.datetime.now() - datetime.timedelta(minutes=2)
seen["digitalTwinReport"] = digital_twins.invoke_component_command(
    device_id, "thermostat1", "getMaxMinReport", payload, 3, 7
)

time.sleep(2)  # the acknowledgement of the last update is on its way
reported = registry.get_twin(device_id).properties.reported
seen["ack"] = reported["thermostat1"]["targetTemperature"]
seen["desiredVersion"] = registry.get_twin(device_id).properties.desired["$version"]
print(json.dumps(seen))
