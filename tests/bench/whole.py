"""The whole thermostat at a hub, over TLS: heap in use, and the least heap for the tour."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from host_tools.compile import compile_tree
from host_tools.hub.client_environment import client_environment
from host_tools.hub.server import HubServer
from host_tools.simulated_device import SimulatedDevice, parts, write_configuration
from host_tools.simulation import SimulationError
from host_tools.tree import source_tree
from tests.bench.rows import row
from tests.integration.whole import own_address, until

DEVICE = "bench"
LARGEST_KB = 256
STEP_KB = 8
# Statistics twice: the first line comes before the device is online
PACE = {"telemetry": {"stats_period_s": 1}}
# Far above what two runs differ by; that of the last module is 2^n times this
WEIGHT = 1 << 15
WEIGHED_AT_ONCE = 14
ONLINE_LIMIT_S = 60.0
TOUR_LIMIT_S = 120.0


def rows() -> list[dict[str, Any]]:
    """Of a run each; the search for the least heap takes five."""
    heap = asyncio.run(_online(LARGEST_KB, with_tour=False))
    assert heap is not None, "the thermostat does not come online"
    return [row("online_heap", heap), row("tour_heap", _least())]


def staying(modules: Iterable[str]) -> set[str]:
    """Which of `modules`, as "system/spill", are still in the heap of a thermostat online.

    Each is given something large of a size of its own, which is in the heap as long as it is.
    """
    names = sorted(modules)
    bare = _online_heap(parts().firmware, 1)
    found: set[str] = set()
    for at in range(0, len(names), WEIGHED_AT_ONCE):
        found.update(_staying(names[at : at + WEIGHED_AT_ONCE], bare))
    return found


def _staying(names: list[str], bare: int) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(shutil.copytree(source_tree() / "firmware", Path(folder, "source")))
        for place, name in enumerate(names):
            with (source / f"{name}.py").open("a") as file:
                file.write(f"\n\n_weight = bytearray({WEIGHT << place})\n")
        weighted = compile_tree(source, Path(folder, "firmware"))
        more = round((_online_heap(weighted, len(names)) - bare) / WEIGHT)
    yield from (name for place, name in enumerate(names) if more >> place & 1)


def _online_heap(firmware: Path, weights: int) -> int:
    """Bytes in use online, with so many weights in `firmware`."""
    heap = asyncio.run(_online(LARGEST_KB + (WEIGHT >> 8 << weights), False, firmware))
    assert heap is not None, "the thermostat does not come online"
    return heap


def _least() -> int:
    """The least heap in KB, in steps of STEP_KB, with which the tour passes, and passes again:
    just below, it does so when messages happen to arrive one by one."""
    fails, passes = 64, LARGEST_KB
    while passes - fails > STEP_KB:
        middle = (passes + fails) // 2 // STEP_KB * STEP_KB
        if all(asyncio.run(_online(middle, with_tour=True)) for _ in range(2)):
            passes = middle
        else:
            fails = middle
    return passes


async def _online(heap_kb: int, with_tour: bool, firmware: Path | None = None) -> int | None:
    """Bytes in use after a collection, None where it does not get as far as that."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = HubServer(folder / "hub", None, own_address())
        async with server:
            server.ensure_device(DEVICE)
            text = server.device_connection_string(DEVICE)
            write_configuration(folder / "device", text, server.certificates.ca_der, PACE)
            made = dataclasses.replace(parts(), heap_size=f"{heap_kb}k")
            if firmware is not None:
                made = dataclasses.replace(made, firmware=firmware)
            device = SimulatedDevice(folder / "device", device_parts=made)
            await device.start()
            try:
                return await _figure(device, server, with_tour)
            except (SimulationError, AssertionError, asyncio.TimeoutError):
                return None
            finally:
                await device.stop()


async def _figure(device: SimulatedDevice, server: HubServer, with_tour: bool) -> int | None:
    await asyncio.wait_for(device.wait_online(), ONLINE_LIMIT_S)
    if with_tour and not await _tour_passes(server):
        return None
    # Online, with telemetry sent and acknowledged, and everything reported
    before = device.stats.get("uptime_s", 0)
    await until(lambda: device.stats.get("uptime_s", 0) >= before + 5, ONLINE_LIMIT_S)
    return None if device.process.resets else int(device.stats["heap"])


async def _tour_passes(server: HubServer) -> bool:
    environment = dict(os.environ, **client_environment(server, DEVICE))
    del environment["AZURE_URL"]  # the building around it is no affair of the device's heap
    command = [sys.executable, "-m", "host_tools.tour"]
    done = await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, timeout=TOUR_LIMIT_S
    )
    return done.returncode == 0
