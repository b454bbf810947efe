"""`thermo twins bridge`: the graph ends as the devices' last events say, however often it dies.

THERMO_KILLS is how often it is killed, THERMO_SEED gives the moments of an earlier run again.
"""

import asyncio
import contextlib
import json
import math
import os
import random
import secrets
import signal
import sys
import time
from pathlib import Path

import pytest

from host_tools.cloud.twins_models import bundled
from host_tools.hub.client_environment import connection_variables, without_other_identities
from host_tools.hub.launcher import serving
from host_tools.hub.options import HubOptions
from host_tools.hub.trust import trust_environment

ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("THERMO_KILLS", "3"))
SEED = int(os.environ.get("THERMO_SEED", "0")) or secrets.randbelow(1 << 32)
MODEL = "dtmi:com:example:TemperatureController;1"
ROOM, FLOOR, BUILDING = (f"dtmi:com:example:{name};1" for name in ("Room", "Floor", "Building"))
COMPONENTS = ("thermostat1", "thermostat2")
DEVICES = ("d0", "d1", "d2", "d3")
CAUGHT_UP_S = 40
# From the first event that a life has dealt with to its end
LONGEST_LIFE_S = 1.0


def room_of(device, component):
    return f"room-{device}-{component}"


def floor_of(device):
    return "floor0" if device in DEVICES[:2] else "floor1"


ROOMS = {device: {each: room_of(device, each) for each in COMPONENTS} for device in DEVICES}


def build(graph):
    documents = [
        json.loads(path.read_text()) for folder in bundled() for path in folder.glob("*.json")
    ]
    graph.models.upload(documents)
    graph.put_twin("building", {"$metadata": {"$model": BUILDING}})
    for floor in ("floor0", "floor1"):
        graph.put_twin(floor, {"$metadata": {"$model": FLOOR}})
        graph.put_relationship("building", floor, {"$relationshipName": "has", "$targetId": floor})
    for device in DEVICES:
        for component in COMPONENTS:
            room = room_of(device, component)
            graph.put_twin(room, {"$metadata": {"$model": ROOM}})
            edge = {"$relationshipName": "contains", "$targetId": room}
            graph.put_relationship(floor_of(device), room, edge)


class Fleet:
    """What the devices have said last."""

    def __init__(self, hub, chance):
        self.hub, self.chance = hub, chance
        self.temperatures, self.reported = {}, {}
        self.said = 0

    def speak(self):
        device, component = self.chance.choice(DEVICES), self.chance.choice(COMPONENTS)
        value = round(self.chance.uniform(15, 30), 2)
        self.said += 1
        if self.chance.random() < 0.5:
            body = json.dumps({"temperature": value}).encode()
            bag = {"$.sub": component, "$.ct": "application/json", "$.ce": "utf-8"}
            self.hub.telemetry.append(device, body, bag, MODEL)
            self.temperatures[device, component] = value
            return
        acknowledged = {"value": value, "ac": 200, "av": self.said, "ad": "done"}
        patch = {
            component: {
                "__t": "c",
                "targetTemperature": acknowledged,
                "maxTempSinceLastReboot": value,
            },
            "serialNumber": f"number {self.said}",
            "connectivity": "wifi",
        }
        self.hub.twins.update_reported(device, patch)
        self.reported[device, component] = value
        self.reported[device] = f"number {self.said}"

    def differences(self, graph):
        """Where the graph is not what was said last; none at the end."""
        found = []

        def expect(twin, place, wanted):
            document = graph.find_twin(twin) or {}
            for name in place:
                document = document.get(name) if isinstance(document, dict) else None
            if document != wanted:
                found.append((twin, place, document, wanted))

        for key, value in self.temperatures.items():
            expect(room_of(*key), ("temperature",), value)
        for key, value in self.reported.items():
            if isinstance(key, str):
                expect(key, ("serialNumber",), value)
                continue
            expect(key[0], (key[1], "targetTemperature"), value)
            expect(key[0], (key[1], "maxTempSinceLastReboot"), value)
            expect(room_of(*key), ("targetTemperature",), value)
        means = []
        for floor in ("floor0", "floor1"):
            values = [v for k, v in self.temperatures.items() if floor_of(k[0]) == floor]
            if values:
                means.append(round(math.fsum(values) / len(values), 2))
                expect(floor, ("averageTemperature",), means[-1])
        if means:
            expect("building", ("averageTemperature",), round(math.fsum(means) / len(means), 2))
        return found


class Beside:
    """A hub, and the command beside it."""

    def __init__(self, server, folder):
        self.server, self.folder = server, folder
        self.processes = []
        ours = without_other_identities(os.environ)
        self.environment = {
            **ours,
            **connection_variables(server, "d0", "d0", ours),
            **trust_environment(folder, server.certificates.ca_pem, ours),
            "PYTHONPATH": str(ROOT),
        }
        (folder / "rooms.json").write_text(json.dumps(ROOMS))

    async def start(self, *arguments):
        options = ("--rooms", "rooms.json", "--position", "position.json")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "host_tools.cli", "twins", "bridge"),
            *(arguments or options),
            cwd=self.folder,
            env=self.environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self.processes.append(process)
        return process

    async def end(self):
        for process in self.processes:
            if process.returncode is None:
                process.kill()
                await process.communicate()


@contextlib.asynccontextmanager
async def beside_hub(folder):
    options = HubOptions(routes=frozenset({"twinChangeEvents"}))
    async with serving(folder / "hub", None, options) as server:
        for device in DEVICES:
            server.ensure_device(device)
            server.hub.twins.set_model_id(device, MODEL)
        build(server.hub.graph)
        beside = Beside(server, folder)
        try:
            yield beside
        finally:
            await beside.end()


async def equal(fleet, process):
    end = time.monotonic() + CAUGHT_UP_S
    while fleet.differences(fleet.hub.graph):
        assert process.returncode is None, (await process.stdout.read()).decode()
        assert time.monotonic() < end, fleet.differences(fleet.hub.graph)
        await asyncio.sleep(0.05)


async def speak_for(fleet, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        fleet.speak()
        await asyncio.sleep(0.01)


@pytest.mark.timeout(60 + 20 * KILLS)
def test_killed_at_any_moment_the_graph_ends_as_the_devices_say(tmp_path):
    async def run():
        chance = random.Random(SEED)
        async with beside_hub(tmp_path) as beside:
            fleet = Fleet(beside.server.hub, chance)
            await speak_for(fleet, 0.3)
            for _ in range(KILLS):
                process = await beside.start()
                await equal(fleet, process)
                await speak_for(fleet, chance.uniform(0, LONGEST_LIFE_S))
                process.kill()
                await process.communicate()
                await speak_for(fleet, 0.05)
            process = await beside.start()
            await equal(fleet, process)
            process.send_signal(signal.SIGINT)
            output = (await process.communicate())[0].decode()
            assert process.returncode == 0, output
            # Where it stopped is where the next one begins: it has nothing to do
            again = await beside.start(
                *("--rooms", "rooms.json", "--position", "position.json", "--seconds", "2")
            )
            output = (await again.communicate())[0].decode()
            assert again.returncode == 0
            assert "nothing came" in output
            return fleet.said

    said = asyncio.run(run())
    print(f"seed {SEED}: {KILLS} kills, {said} events, the graph was equal after each")


def test_a_device_that_nobody_knows_is_told_once_and_left_alone(tmp_path):
    async def run():
        async with beside_hub(tmp_path) as beside:
            hub = beside.server.hub
            for number in range(3):
                hub.telemetry.append("d0", b'{"temperature": %d}' % number, {}, MODEL)
            hub.telemetry.append("d0", b"no JSON \xff", {}, MODEL)
            process = await beside.start("--position", "position.json", "--seconds", "8")
            output = (await process.communicate())[0].decode()
            assert process.returncode == 0, output
            assert output.count("the device d0 is not in the graph") == 1
            assert hub.graph.find_twin("d0") is None

    asyncio.run(run())


@pytest.mark.parametrize("content", ['["no"]', '{"0": "x"}', "{"])
def test_a_position_that_is_none_is_told_in_a_line(tmp_path, content):
    async def run():
        async with beside_hub(tmp_path) as beside:
            (tmp_path / "position.json").write_text(content)
            process = await beside.start("--position", "position.json")
            output = (await process.communicate())[0].decode()
            assert process.returncode == 1
            assert output.startswith("thermo: position.json")
            assert output.count("\n") == 1

    asyncio.run(run())


def test_a_hub_that_has_gone_is_told_in_a_line(tmp_path):
    async def run():
        async with beside_hub(tmp_path) as beside:
            process = await beside.start("--position", "position.json")
            beside.processes.remove(process)  # it outlives the hub
            beside.server.hub.telemetry.append("d0", b"{}", {}, MODEL)
            try:
                line = await asyncio.wait_for(process.stdout.readline(), 30)
                assert b"not in the graph" in line
                await beside.server.stop()
                output = (await asyncio.wait_for(process.communicate(), 60))[0].decode()
            finally:
                if process.returncode is None:
                    process.kill()
        assert process.returncode == 1
        assert output.startswith("thermo: ")
        assert "cannot be reached" in output

    asyncio.run(run())
