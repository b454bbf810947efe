"""`thermo hub exec --isolated`: port 443 for those who may not have it, and no other network."""

import os
import subprocess
import sys

import pytest
from terminal import environment, thermo

from host_tools.hub.isolation import isolate
from host_tools.hub.server_error import ServerError

SCRIPT = """
import os, socket
from azure.iot.device import IoTHubDeviceClient
from azure.iot.hub import IoTHubRegistryManager

text = os.environ["IOTHUB_DEVICE_CONNECTION_STRING"]
client = IoTHubDeviceClient.create_from_connection_string(text, websockets=True)
client.connect()
client.send_message("through 443")
print(client.connected)
client.shutdown()
manager = IoTHubRegistryManager(os.environ["IOTHUB_CONNECTION_STRING"])
print(":" in os.environ["IOTHUB_CONNECTION_STRING"].split(";")[0])
print(len(manager.get_devices()))
print([name for _, name in socket.if_nameindex()])
print(os.getuid(), os.access(os.getcwd(), os.W_OK))
"""


def can_isolate():
    code = "from host_tools.hub.isolation import isolate; isolate()"
    return subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def run(folder, *options):
    command = thermo("hub", "exec", *options, "--", sys.executable, "-c", SCRIPT)
    return subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=60
    )


def test_clients_that_know_only_443(tmp_path):
    done = run(tmp_path, "--isolated")
    if not can_isolate():
        assert done.returncode == 1
        assert "--isolated is not to be had here" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["True", "False", "1", "['lo']", f"{os.getuid()} True"]
    assert not list(tmp_path.iterdir())


def test_where_it_is_not_to_be_had_it_says_so(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ServerError, match="leave it out"):
        isolate()
