"""`thermo hub start` as a process of its own, and devices of few words that speak to it."""

import base64
import contextlib
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path

from doubles.mqtt_raw_client import RawClient

from host_tools.hub.wire.sas import build_token

ROOT = Path(__file__).parent.parent.parent


class Started:
    """A running hub, and what it printed until it was ready."""

    def __init__(self, process):
        self.process = process
        self.text = ""
        while "Ready." not in self.text:
            line = process.stdout.readline()
            assert line, f"the hub ended: {process.stderr.read()}"
            self.text += line

    def variable(self, name):
        return re.search(rf"^export {name}='?([^'\n]+)'?$", self.text, re.MULTILINE)[1]

    def port(self, door):
        return int(re.search(rf"{door}.*?:(\d+) ", self.text)[1])

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=10)
        return err


@contextlib.contextmanager
def hub_start(folder, *arguments):
    process = subprocess.Popen(
        [sys.executable, "-m", "host_tools.cli", "hub", "start", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Started(process)
    finally:
        process.kill()
        process.communicate()


async def connect(port, ca, connection_string, address="127.0.0.1"):
    """A raw device over verified TLS. Returns: the client and its CONNACK."""
    fields = dict(part.split("=", 1) for part in connection_string.split(";"))
    host, device_id = fields["HostName"], fields["DeviceId"]
    key = base64.b64decode(fields["SharedAccessKey"])
    token = build_token(f"{host}/devices/{device_id}", key, int(time.time()) + 600)
    context = ssl.create_default_context(cafile=ca)
    found = await RawClient.open(port, address, ssl=context, server_hostname=host)
    username = f"{host}/{device_id}/?api-version=2021-04-12"
    code = await found.connect(client_id=device_id, username=username, password=token)
    return found, code, token
