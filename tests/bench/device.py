"""Byte counts of the firmware, the same in each run: modules, heap, garbage, growth.

Each heap is measured in an interpreter of its own, by a program in `board/`, which prints
`NAME FIGURE` lines. The firmware is compiled as for a board.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from host_tools.simulated_device import parts
from host_tools.simulation import Parts
from tests.bench import peers
from tests.bench.rows import row

ROOT = Path(__file__).resolve().parents[2]
BOARD = Path(__file__).with_name("board")
TIME_LIMIT_S = 120
# In the heap only while they are needed, see firmware/thermostat/assembly.py and main.py
ON_DEMAND = {
    "iothub/dps",
    "iothub/greeting",
    "iothub/identity",
    "iothub/sas",
    "pnp/desired",
    "pnp/model",
    "system/console",
    "system/dates",
    "system/description",
    "system/names",
    "system/ntp",
    "system/opening",
    "system/recovery",
    "system/spill",
    "system/store",
    "system/tls",
    "thermostat/assembly",
    "thermostat/crash",
    "thermostat/farewell",
    "thermostat/kept",
    "thermostat/provisioning",
    "thermostat/report",
    "thermostat/settings",
    "thermostat/statistics",
}
# Of the drivers a board loads those that it has chips for: here the two largest of the usual; and
# only a model that asks for it, which the default does not, loads what tells of heat and faults
NOT_FITTED = {"drivers/chip", "drivers/ds18b20", "thermostat/status"}


def rows(publishes: int, patches: int) -> list[dict[str, Any]]:
    """All of them; growth is looked for over so many messages and patches."""
    made = parts()
    cloud, firmware = sizes(made)
    found = run(made, "imports.py", "2m")
    found |= run(made, "garbage.py", "2m")
    found |= run(made, "growth.py", "2m", str(publishes), str(patches))
    own, theirs = "umqtt.simple with a minimal hub layer", found.pop("peer_telemetry_garbage")
    return [
        row("cloud_mpy", cloud, "umqtt.simple alone", peers.umqtt_bytes(made)),
        row("firmware_mpy", firmware),
        row("cloud_import_heap", found["cloud_import_heap"], own, found["peer_import_heap"]),
        row("telemetry_garbage", found["telemetry_garbage"], own, theirs),
        row("token_garbage", found["token_garbage"], own, found["peer_token_garbage"]),
        row("tick_garbage", found["tick_garbage"]),
        row("growth_publishes", found["growth_publishes"]),
        row("growth_patches", found["growth_patches"]),
    ]


def sizes(made: Parts) -> tuple[int, int]:
    """Bytes of .mpy: the cloud layer with umqtt.simple; all but what is needed on demand."""
    umqtt = peers.umqtt_bytes(made)
    cloud = firmware = 0
    for path in sorted(made.firmware.rglob("*.mpy")):
        name = path.relative_to(made.firmware).with_suffix("").as_posix()
        if name in ON_DEMAND | NOT_FITTED:
            continue
        firmware += path.stat().st_size
        if name.startswith(("iothub/", "pnp/")):
            cloud += path.stat().st_size
    return cloud + umqtt, firmware


def run(made: Parts, program: str, heap: str, *arguments: str, **variables: str) -> dict[str, int]:
    """What `program` prints, with `variables` in its environment. Raises RuntimeError when it
    fails."""
    unit = ROOT / "tests" / "unit"
    folders = (BOARD, unit, unit / "iothub", unit / "thermostat")
    relative = [os.path.relpath(each, made.working_folder()) for each in folders]
    search_path = ":".join([made.search_path(), *relative])
    environment = {**os.environ, "MICROPYPATH": search_path, **variables}
    done = subprocess.run(
        [str(made.interpreter), "-X", f"heapsize={heap}", str(BOARD / program), *arguments],
        env=environment,
        cwd=made.working_folder(),
        capture_output=True,
        text=True,
        check=False,
        timeout=TIME_LIMIT_S,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{program} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    lines = (line.split() for line in done.stdout.splitlines())
    # The others are the firmware's log
    figures = (words for words in lines if len(words) == 2 and words[1].isdigit())
    return {name: int(figure) for name, figure in figures}
