"""Rows of the benchmark: a figure, what it may be, and what a peer needs for the same work.

`budget.json` has for each name: `better` (lower, higher), `unit`, and, where there are,
`budget`, what is aimed at (`budget_ratio`: in terms of the peer's figure), and `held`, what a
count must not pass without failing the tests: the budget, or while that is missed, a little more
than the figure of today.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

BUDGETS: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("budget.json").read_text()
)


def row(
    name: str, value: float, peer: str | None = None, peer_value: float | None = None
) -> dict[str, Any]:
    """The row `name`, judged by its budget; `ok` is None without one."""
    known = BUDGETS[name]
    budget = known.get("budget")
    if peer_value is not None and "budget_ratio" in known:
        budget = round(known["budget_ratio"] * peer_value, 3)
    ok = None
    if budget is not None:
        ok = value <= budget if known["better"] == "lower" else value >= budget
    return {
        "name": name,
        "value": value,
        "unit": known["unit"],
        "better": known["better"],
        "peer": peer,
        "peer_value": peer_value,
        "ratio": round(value / peer_value, 3) if peer_value else None,
        "budget": budget,
        "ok": ok,
    }
