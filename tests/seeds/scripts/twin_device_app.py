"""Seed 001, "Create a device application": a twin read, a report, a handler of desired changes.

It is `exec-device`, and tells what it saw on its last line. Beside it the back end changes the
twin, as `twin_back_end.py` does on another machine.
"""

import asyncio
import json
import os
import random

from azure.iot.device.aio import IoTHubDeviceClient
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import Twin, TwinProperties

CONNECTION_STRING = os.environ["IOTHUB_DEVICE_CONNECTION_STRING"]
DEVICE_ID = dict(part.split("=", 1) for part in CONNECTION_STRING.split(";"))["DeviceId"]


def update_desired() -> None:
    manager = IoTHubRegistryManager.from_connection_string(os.environ["IOTHUB_CONNECTION_STRING"])
    twin = manager.get_twin(DEVICE_ID)
    patch = Twin(properties=TwinProperties(desired={"power_level": 1}))
    manager.update_twin(DEVICE_ID, patch, twin.etag)


async def main() -> None:
    patched = asyncio.get_running_loop().create_future()

    async def twin_patch_handler(twin_patch: object) -> None:
        patched.set_result(twin_patch)

    device_client = IoTHubDeviceClient.create_from_connection_string(CONNECTION_STRING)
    await device_client.connect()
    before = await device_client.get_twin()
    device_client.on_twin_desired_properties_patch_received = twin_patch_handler
    reported = {"temperature": random.randint(320, 800) / 10}
    await device_client.patch_twin_reported_properties(reported)
    await asyncio.to_thread(update_desired)
    patch = await asyncio.wait_for(patched, 20)
    after = await device_client.get_twin()
    await device_client.shutdown()
    seen = {"before": before, "reported": reported, "patch": patch, "after": after}
    print(json.dumps(seen))


asyncio.run(main())
