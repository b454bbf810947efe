"""Hub, firmware and rooms together: nothing is lost, and nothing wears out."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from whole import (
    DEVICE,
    PACE,
    House,
    connected_house,
    hub_process,
    hub_server,
    own_address,
    state_of,
    until,
    zones,
)

from host_tools.simulated_device import MODELS

pytestmark = pytest.mark.timeout(60)
COLD = {**PACE, "zones": zones(5.0)}
WARM = {**PACE, "zones": zones(24.0)}


def target(value):
    return {"properties": {"desired": {"thermostat1": {"__t": "c", "targetTemperature": value}}}}


def ack(hub):
    """What the device last said of the set point of its first room."""
    reported = hub.twins.get(DEVICE)["properties"]["reported"]
    return reported.get("thermostat1", {}).get("targetTemperature", {})


def desired_version(hub):
    return hub.twins.get(DEVICE)["properties"]["desired"]["$version"]


def is_acknowledged(hub):
    """Does the last acknowledgement belong to the last change?"""
    return ack(hub).get("av") == desired_version(hub)


def delivered(hub):
    partition = hub.telemetry.partition_of(DEVICE)
    return hub.telemetry.read(partition, 0, 10_000)


def test_nothing_is_lost_when_the_hub_is_killed(tmp_path):
    host = own_address()

    async def scenario():
        with state_of(tmp_path / "state", host) as hub:
            hub.registry.create({"deviceId": DEVICE})
            text = hub.device_connection_string(DEVICE)
        async with hub_process(tmp_path, host) as first:
            root = tmp_path / "hub" / "ca.der"
            house = House(tmp_path / "house", (text, root, COLD))
            await house.device.start()
            await until(lambda: house.stat("telemetry_acked") >= 4, what=house.console)
            first.kill()
            await first.wait()
        with state_of(tmp_path / "state", host) as hub:
            before = len(delivered(hub))
            hub.twins.update_desired(DEVICE, target(7.5))
        await until(lambda: house.stat("telemetry_waiting") >= 4, what=house.console)
        accepted, sent = house.stat("desired_acked"), house.stat("telemetry_sent")
        async with hub_process(tmp_path, host):
            await until(lambda: house.stat("desired_acked") > accepted, what=house.console)
            await until(lambda: house.stat("telemetry_acked") >= sent, what=house.console)
            await house.device.stop()
        return house, before

    house, before = asyncio.run(scenario())
    stats = house.device.stats
    with state_of(tmp_path / "state", host) as hub:
        events = delivered(hub)
        assert is_acknowledged(hub)
        assert (ack(hub)["value"], ack(hub)["ac"]) == (7.5, 200)
    assert stats["reconnects"] == 1
    # The rooms only cool: no two readings of a room are the same
    distinct = {(event.annotations.get("dt-subject"), event.body) for event in events}
    kept = stats["telemetry_dropped"] + stats["telemetry_waiting"]
    assert stats["telemetry_sent"] == len(distinct) + kept
    late = [event for event in events if "iothub-creation-time-utc" in event.properties]
    assert 4 <= len(late) <= len(distinct) - before
    assert "Traceback" not in house.console()


def test_a_reboot_is_a_real_reset_and_set_points_survive_it(tmp_path):
    async def scenario():
        server = hub_server(tmp_path, own_address(), tmp_path / "state")
        await server.start()
        try:
            async with connected_house(server, tmp_path / "house", COLD) as house:
                await house.device.wait_online()
                server.hub.twins.update_desired(DEVICE, target(24))
                await until(lambda: is_acknowledged(server.hub), what=house.console)
                await house.heats()
                answer = await server.hub.methods.invoke(DEVICE, "reboot", 0)
                assert answer.status == 200
                # From now on nobody can tell it again
                await server.stop()
                await house.line("simulation: reset (software)")
                await until(lambda: house.relays() == [False, False], what=house.console)
                await house.heats()
                await server.start()
                await house.line("online as", times=2)
                await until(lambda: server.hub.connections.is_connected(DEVICE))
                assert house.device.process.resets == 1
        finally:
            await server.stop()

    asyncio.run(scenario())


def test_a_hub_that_comes_late(tmp_path):
    async def scenario():
        server = hub_server(tmp_path, own_address())
        async with server:
            house = connected_house(server, tmp_path / "house", WARM)
            text = server.device_connection_string(DEVICE)
        async with house:
            line = await house.line("next try")
            assert f"connecting to {server.host}: " in line
            await house.heats()
            async with server:
                server.hub.registry.create({"deviceId": DEVICE, **_with_key_of(text)})
                await house.device.wait_online()
                await until(lambda: house.stat("telemetry_acked") >= 2, what=house.console)

    asyncio.run(scenario())


def _with_key_of(text):
    key = text.partition("SharedAccessKey=")[2].partition(";")[0]
    keys = {"primaryKey": key, "secondaryKey": key}
    return {"authentication": {"type": "sas", "symmetricKey": keys}}


def test_two_with_one_identity_take_turns(tmp_path):
    async def scenario():
        async with hub_server(tmp_path, own_address()) as server:
            one, other = (connected_house(server, tmp_path / name, COLD) for name in "ab")
            async with one, other:
                for house in (one, other):
                    await house.line("closed by the peer; next try", times=2)
                assert not one.found("ERROR") + other.found("ERROR")
            return one, other

    for house in asyncio.run(scenario()):
        # An eviction each time it was online, and no storm: 0.1 s, 0.2 s, ... up to a second
        assert len(house.found("online as")) < 30


def test_the_heap_does_not_grow_while_online(tmp_path):
    async def scenario():
        async with hub_server(tmp_path, own_address()) as server:
            house = connected_house(server, tmp_path / "house", WARM)
            async with house:
                await house.device.wait_online()
                # What is remembered of the latest commands and changes fills its places first
                for degrees in range(10, 46):
                    await _change_and_call(server.hub, house, degrees)
                settled = await _live_heap(house)
                for degrees in range(10, 22):
                    await _change_and_call(server.hub, house, degrees)
                return settled, await _live_heap(house)

    settled, later = asyncio.run(scenario())
    assert later - settled < 512


async def _change_and_call(hub, house, degrees):
    hub.twins.update_desired(DEVICE, target(degrees))
    await until(lambda: is_acknowledged(hub), what=house.console)
    answer = await hub.methods.invoke(DEVICE, "reboot", -1)
    assert answer.status == 400


async def _live_heap(house):
    """Of a moment some messages from now; its console has it once a second."""
    enough = house.stat("telemetry_acked") + 6
    await until(lambda: house.stat("telemetry_acked") >= enough, what=house.console)
    return house.stat("heap")


def test_our_own_model_tells_heat_and_humidity_and_takes_a_report_period(tmp_path):
    async def scenario():
        async with hub_server(tmp_path, own_address()) as server:
            hub = server.hub
            settings = {**WARM, "model": MODELS["HeatingController"]}
            house = connected_house(server, tmp_path / "house", settings)

            def reported():
                return hub.twins.get(DEVICE)["properties"]["reported"]

            def heating():
                return reported().get("thermostat1", {}).get("heating")

            async with house:
                await house.device.wait_online()
                await until(lambda: heating() is True, what=house.console)
                hub.twins.update_desired(DEVICE, target(5))
                await until(lambda: heating() is False, what=house.console)
                assert house.relays()[0] is False
                assert reported()["thermostat2"]["heating"] is True
                assert reported()["thermostat1"]["fault"] == "none"
                hub.twins.update_desired(DEVICE, {"properties": {"desired": {"reportPeriod": 9}}})
                await until(lambda: reported()["reportPeriod"]["value"] == 9, what=house.console)
                assert reported()["reportPeriod"]["ac"] == 200
                await until(lambda: house.stat("telemetry_acked") >= 4, what=house.console)
            return delivered(hub)

    told = {}
    for event in asyncio.run(scenario()):
        subject = event.annotations.get("dt-subject")
        told.setdefault(subject, set()).update(json.loads(event.body))
    zone = {"temperature", "humidity"}
    assert told == {None: {"workingSet"}, "thermostat1": zone, "thermostat2": zone}
