"""`mpremote mip install firmware/package.json`: the device client in somebody else's project."""

import asyncio
import http.server
import json
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from pseudo_board import PseudoBoard

from host_tools.hub.server import HubServer
from host_tools.mip_package import FILE, build_package
from tests.integration.whole import own_address, until

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
# What somebody writes who has installed it: no thermostat, no board, a model of this package
THEIRS = """
import sys
sys.path.insert(0, "/lib")
from iothub import identity
from iothub.session import Session
from pnp.model import load, models_folder
from drivers.registry import open_sensor
from system.clock import Clock
from system.dialer import Dialer
from system.tls import make_context
import os

models = models_folder("/lib/models", os.listdir("/lib/models"))
((name, interface),) = load("dtmi:com:example:Thermostat;1", models)
roots = [open("/lib/roots/" + name, "rb").read() for name in os.listdir("/lib/roots")]
make_context(roots)
print("installed", "thermostat" in sys.modules)
"""


@pytest.fixture
def index():
    """The package index of MicroPython, as far as this package asks for it."""
    simple = (ROOT / "build" / "lib" / "umqtt" / "simple.py").read_bytes()
    address = ""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path.endswith("/umqtt.simple/latest.json"):
                package = {"urls": [["umqtt/simple.py", f"{address}/simple.py"]]}
                self.answer(json.dumps(package).encode())
            elif self.path == "/simple.py":
                self.answer(simple)
            else:
                self.send_error(404)

        def answer(self, body):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            """Not in the output of tests."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        address = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield address
        server.shutdown()
        thread.join()


def mpremote(board, *arguments):
    command = [sys.executable, "-m", "mpremote", "connect", board.port, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(board, index):
    mpremote(
        board, "mip", "--target", "/lib", "--index", index, "install", "firmware/package.json"
    )


def test_the_description_is_up_to_date():
    written = json.loads((FIRMWARE / FILE).read_text())
    assert written == build_package(FIRMWARE), "run: python -m host_tools.mip_package"


def test_mpremote_installs_it_and_somebody_uses_it(tmp_path, index):
    with PseudoBoard(tmp_path, has_house=False, heap_size="512k") as board:
        install(board, index)
        files = board.files()
        for target, _ in build_package(FIRMWARE)["urls"]:
            assert files[f"/lib/{target}"] == (FIRMWARE / target).read_bytes(), target
        assert "/lib/umqtt/simple.py" in files
        assert not [name for name in files if "thermostat/" in name]
        assert mpremote(board, "exec", THEIRS).strip() == "installed False"


def test_the_device_of_the_readme_is_one(tmp_path, index):
    """As printed there, but for its connection string and where it lies in the search path."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (program,) = [block for block in blocks if "asyncio.run(main(" in block]

    async def scenario():
        server = HubServer(tmp_path / "hub", host=own_address())
        async with server:
            server.ensure_device("mine")
            text = server.device_connection_string("mine")
            theirs = program.replace("HostName=...;DeviceId=...;SharedAccessKey=...", text)
            assert theirs != program
            with PseudoBoard(tmp_path / "board", has_house=False) as board:
                await asyncio.to_thread(install, board, index)
                board.power_off()
                board.write("lib/roots/ca.der", server.certificates.ca_der.read_bytes())
                board.write("main.py", b"import sys\nsys.path.append('/lib')\n" + theirs.encode())
                board.power_on()
                await device_is_served(server.hub, lambda: board.transcript.decode()[-3000:])

    asyncio.run(scenario())


async def device_is_served(hub, said):
    partition = hub.telemetry.partition_of("mine")
    await until(lambda: hub.telemetry.last_sequence_number(partition) >= 0, 60, said)
    event = hub.telemetry.last_event(partition)
    assert json.loads(event.body) == {"temperature": 21.5}
    hub.twins.ensure_desired("mine", {"targetTemperature": 19.5})

    def acknowledged():
        reported = hub.twins.device_view("mine")["reported"]
        return reported.get("targetTemperature", {}).get("value") == 19.5

    await until(acknowledged, 30, said)
