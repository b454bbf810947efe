"""A day of default operation on virtual time: what it costs in money and in air time.

Counts, the same in each run; see `board/day.py` for what is counted.
"""

from __future__ import annotations

from typing import Any

from host_tools.simulated_device import parts
from tests.bench import device
from tests.bench.rows import row

LEAST = "its telemetry alone"


def rows() -> list[dict[str, Any]]:
    made = parts()
    winter = device.run(made, "day.py", "2m", "winter")
    restless = device.run(made, "day.py", "2m", "restless")
    return [
        row("day_operations", winter["operations"]),
        row("day_paid_operations", winter["paid_operations"]),
        row("day_connections", winter["connections"]),
        row("day_bytes", winter["wire"], LEAST, winter["least"]),
        row("restless_day_operations", restless["operations"]),
        row("restless_day_bytes", restless["wire"], LEAST, restless["least"]),
    ]
