"""Seed 001, "Connect using Microsoft Entra": the back end signs in with a token credential.

The include that the section names has the client secret's values in the script itself, which sets
them in its environment before it asks for the credential. Tells on its last line who was found.
"""

import json
import os

from azure.identity import DefaultAzureCredential
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import QuerySpecification, Twin, TwinProperties

DEVICE_ID = os.environ["IOTHUB_DEVICE_ID"]
# In the document `MyAzureDomain.azure-devices.net`, written down
HOST = os.environ["IOTHUB_HOSTNAME"]

os.environ["AZURE_CLIENT_SECRET"] = "xxxxxxxxxxxxxxx"
os.environ["AZURE_TENANT_ID"] = "xxxxxxxxxxxxx"
os.environ["AZURE_CLIENT_ID"] = "xxxxxxxxxxxxxxx"
credential = DefaultAzureCredential()
iothub_registry_manager = IoTHubRegistryManager.from_token_credential(HOST, credential)

twin = iothub_registry_manager.get_twin(DEVICE_ID)
twin_patch = Twin(
    tags={"location": {"region": "US", "plant": "Redmond43"}},
    properties=TwinProperties(desired={"power_level": 1}),
)
twin = iothub_registry_manager.update_twin(DEVICE_ID, twin_patch, twin.etag)
spec = QuerySpecification(query="SELECT * FROM devices WHERE tags.location.plant = 'Redmond43'")
result = iothub_registry_manager.query_iot_hub(spec, None, 100)
print(
    json.dumps(
        {
            "plant": [each.device_id for each in result.items],
            "power_level": twin.properties.desired["power_level"],
            "secret_in_connection": "SharedAccessKey" in repr(vars(iothub_registry_manager)),
        }
    )
)
