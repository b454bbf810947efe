"""How long a start takes, beside the import of umqtt.simple; the programs take turns.

From a file system in the PC's memory: the ratio says something of a board's, the figure does not.
"""

from __future__ import annotations

import statistics
import tempfile
from typing import Any

from host_tools.simulated_device import parts
from tests.bench import device
from tests.bench.rows import row

ROUNDS = 11
PEER = "import of umqtt.simple"


def rows() -> list[dict[str, Any]]:
    made = parts()
    found: dict[str, list[int]] = {"umqtt": [], "cloud": [], "sample": []}
    for _ in range(ROUNDS):
        for what, times in found.items():
            with tempfile.TemporaryDirectory() as folder:
                took = device.run(made, "start_times.py", "1m", what, THERMO_DATA=folder)
            times.append(took["took_us"])
    ms = {what: round(statistics.median(times) / 1000, 2) for what, times in found.items()}
    return [
        row("import_time", ms["cloud"], PEER, ms["umqtt"]),
        row("first_sample", ms["sample"], PEER, ms["umqtt"]),
    ]
