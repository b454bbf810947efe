"""Seed 002, ReportConnectivity.py, between two runs of AddTagsAndQuery.py."""

import json
import os
import subprocess
import sys
from pathlib import Path

from azure.iot.device import IoTHubDeviceClient

SERVICE = Path(__file__).with_name("connectivity_service.py")


def service() -> dict[str, object]:
    command = [sys.executable, str(SERVICE), "cellular"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seen: dict[str, object] = json.loads(done.stdout.strip().splitlines()[-1])
    return seen


before = service()
client = IoTHubDeviceClient.create_from_connection_string(
    os.environ["IOTHUB_DEVICE_CONNECTION_STRING"]
)
client.connect()
client.patch_twin_reported_properties({"connectivity": "cellular"})
client.shutdown()
print(json.dumps({"before": before, "after": service()}))
