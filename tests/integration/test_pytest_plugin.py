"""The fixtures for other people's tests, used as they would be: by another pytest."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Nothing in it but calls of the Azure SDKs and the two fixtures
SUITE = """
import os

from azure.eventhub import EventHubConsumerClient
from azure.iot.device import IoTHubDeviceClient
from azure.iot.hub import IoTHubRegistryManager

NAMES = []


def connected(device):
    client = IoTHubDeviceClient.create_from_connection_string(device.connection_string)
    client.connect()
    return client


def test_telemetry_arrives(local_hub, local_device):
    NAMES.append(local_device.device_id)
    client = connected(local_device)
    for number in range(3):
        client.send_message(f"m{number}")
    events = local_hub.wait_for_events(3, local_device.device_id)
    assert [event.body for event in events] == [b"m0", b"m1", b"m2"]
    client.shutdown()


def test_every_test_has_a_device_of_its_own(local_hub, local_device):
    NAMES.append(local_device.device_id)
    assert len(set(NAMES)) == 2
    assert not local_hub.events(local_device.device_id)
    assert not local_hub.call(lambda hub: hub.registry.exists(NAMES[0]))
    assert "SharedAccessKey" not in repr(local_device)


def test_services_find_the_hub_by_themselves(local_hub, local_device):
    manager = IoTHubRegistryManager(os.environ["IOTHUB_CONNECTION_STRING"])
    assert manager.get_twin(local_device.device_id).device_id == local_device.device_id
    reader = EventHubConsumerClient.from_connection_string(
        os.environ["EVENT_HUB_CONN_STR"], "$Default")
    with reader:
        assert reader.get_eventhub_properties()["eventhub_name"] == os.environ["EVENT_HUB_NAME"]
"""


def test_another_suite_uses_the_fixtures(tmp_path):
    (tmp_path / "test_theirs.py").write_text(textwrap.dedent(SUITE))
    (tmp_path / "tmp").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "host_tools.pytest_plugin"]
        + ["-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "tmp")},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
    assert not list((tmp_path / "tmp").iterdir())
