"""F23 around the whole thermostat: its heap is taken away again and again while it works."""

import asyncio
import dataclasses
import json
import shutil

from fault.on_board import ROOT
from integration.whole import PACE, House, connected_house, hub_server, own_address, until

from host_tools.simulated_device import SimulatedDevice, parts

START = "    if app:\n        await app.run()\n"
ONCE_S = 0.8  # taken and had back, at most


def with_a_hog(folder, count, seed):
    """The firmware with another part, which main.py starts beside the app."""
    made = parts()
    firmware = shutil.copytree(made.firmware, folder / "firmware")
    shutil.copy(ROOT / "tests" / "fault" / "board" / "hog.py", firmware)
    text = (firmware / "main.py").read_text()
    assert START in text
    call = f"    if app:\n        __import__('hog').start(app, {count}, {seed})\n"
    (firmware / "main.py").write_text(text.replace(START, call + START[len("    if app:\n") :]))
    return dataclasses.replace(made, firmware=firmware)


async def live(folder, count, seed):
    """What the hog says in the end, how many resets there were, and the last statistics."""
    async with hub_server(folder, own_address()) as server:
        house: House = connected_house(server, folder / "house", PACE)
        made = with_a_hog(folder, count, seed)
        house.device = SimulatedDevice(house.folder, 1.0, house.lines.append, made)
        async with house:
            said = await house.line("hog {", seconds=60 + ONCE_S * count)
            before = house.stat("uptime_s")
            await until(lambda: house.stat("uptime_s") >= before + 3)
            return json.loads(said[4:]), house.device.process.resets, dict(house.device.stats)


def test_f23_whole_thermostat(row, chance, full, tmp_path):
    count = 1000 if full else 24
    found, resets, stats = asyncio.run(live(tmp_path, count, chance.below(1 << 30)))
    lost = stats["telemetry_dropped"]
    row(
        "no task falls, no reset, 0 messages lost, 95 % of the heap is free again",
        f"{count} times, {found['links']} links given up: falls {found['falls']}, "
        f"{resets} resets, {lost} of {stats['telemetry_sent']} messages lost, "
        f"{found['free_percent']} % free",
        resets == lost == sum(found["falls"].values()) == 0 and found["free_percent"] >= 95,
    )
