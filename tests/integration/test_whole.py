"""Hub, firmware and rooms together: nothing is lost, and nothing wears out."""

import asyncio
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
            assert "connecting: " in line
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
                await until(lambda: house.stat("telemetry_acked") >= 6, what=house.console)
                settled = house.stat("heap")
                for degrees in range(10, 18):
                    server.hub.twins.update_desired(DEVICE, target(degrees))
                    await until(lambda: is_acknowledged(server.hub), what=house.console)
                    answer = await server.hub.methods.invoke(DEVICE, "reboot", -1)
                    assert answer.status == 400
                enough = house.stat("telemetry_acked") + 12
                await until(lambda: house.stat("telemetry_acked") >= enough)
                return settled, house.stat("heap")

    settled, later = asyncio.run(scenario())
    # What it prints itself, and what waits at that moment
    assert later - settled < 1024
