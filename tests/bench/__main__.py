"""The benchmark: a table on the screen, and the same as build/bench.json.

    python -m tests.bench

Byte counts are the same in each run. The exit code is 1 when a count passes what it is held
to; budgets that are missed are told in the table.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.bench import commands, day, device, fleet, start_times, trips, whole, wire
from tests.bench.rows import BUDGETS

RESULT = Path("build") / "bench.json"
PUBLISHES = 100_000
PATCHES = 10_000


def parts() -> dict[str, Callable[[], list[dict[str, Any]]]]:
    found: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "byte counts": lambda: device.rows(PUBLISHES, PATCHES),
        "the whole thermostat": whole.rows,
        "telemetry on the wire": wire.rows,
        "a day, on virtual time": day.rows,
        "round trips of 100 ms": trips.rows,
        "commands": commands.rows,
        "starts": start_times.rows,
        "a fleet, for a minute": fleet.rows,
    }
    # The hub's own, where they are
    for name in ("hub", "twins"):
        if find_spec(f"tests.bench.{name}"):
            module = __import__(f"tests.bench.{name}", fromlist=["rows"])
            found[name] = module.rows
    return found


def show(row: dict[str, Any]) -> None:
    verdict = {None: "", True: "ok", False: "MISSED"}[row["ok"]]
    budget = "" if row["budget"] is None else f"{row['budget']:g}"
    peer = f"{row['peer']}: {row['peer_value']:g}" if row["peer_value"] is not None else ""
    print(
        f"{row['name']:<24} {row['value']:>10g} {row['unit']:<8} {budget:>8} {verdict:<7} {peer}",
        flush=True,
    )


def main() -> int:
    began, rows = time.monotonic(), []
    print(f"{'what':<24} {'figure':>10} {'unit':<8} {'budget':>8}         beside")
    for name, measure in parts().items():
        print(f"-- {name} ({time.monotonic() - began:.0f} s)", flush=True)
        for row in measure():
            show(row)
            rows.append(row)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(rows, indent=1) + "\n")
    missed = [row["name"] for row in rows if row["ok"] is False]
    print(f"{len(rows)} figures in {time.monotonic() - began:.0f} s, also in {RESULT}")
    if missed:
        print("beyond their budget: " + ", ".join(missed))
    held = [r for r in rows if r["value"] > BUDGETS.get(r["name"], {}).get("held", r["value"])]
    return 1 if held else 0


if __name__ == "__main__":
    sys.exit(main())
