"""The screen of `make run`: whole on the smallest usual terminal, and honest."""

import io
from collections import deque

import pytest
from rich.console import Console

from host_tools.screen import CURVE_COLUMNS, View, ZoneView, curve, draw

MODEL = "dtmi:com:example:TemperatureController;1"
STEPS = [f"step {number}: " + "word " * 20 for number in range(7)]


def shown(view, columns, rows):
    console = Console(file=io.StringIO(), width=columns, height=rows, force_terminal=False)
    console.print(draw(view, columns, rows))
    return console.file.getvalue().rstrip("\n").split("\n")


def full_view():
    zones = [
        ZoneView(name, 21.5, 23.5, "200 for v2", True) for name in ("thermostat1", "thermostat2")
    ]
    for zone in zones:
        zone.curve.extend(range(CURVE_COLUMNS))
    view = View("thermostat", "localhost", zones, 1234.0, 120.0, -10.25, True, MODEL, 12, 345)
    view.counters = {"telemetry_sent": 12345, "telemetry_acked": 12344}
    view.tour.extend(STEPS)
    view.log.extend("0.1 INFO iothub: " + "word " * 40 for _ in range(12))
    return view


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (100, 40), (200, 60)])
def test_it_fits_the_terminal(columns, rows):
    lines = shown(full_view(), columns, rows)
    # The cursor has the last row
    assert len(lines) < rows
    assert max(map(len, lines)) <= columns
    text = "\n".join(lines)
    for words in (
        "thermostat is online at localhost",
        MODEL,
        "desired v12, reported v345",
        "12344 acknowledged",
        "0 refused",
        "200 for v2",
        "23.50 °C  ON",
        "step 6",
        "iothub:",
        "Ctrl-C",
    ):
        assert words in text
    # The newest reading is the last of the curve
    assert sum("█" in line for line in lines) == 2


def test_a_step_that_failed_has_no_tick():
    view = full_view()
    view.tour_failed = True
    text = "\n".join(shown(view, 80, 24))
    assert "✗ step 6" in text
    assert "✓ step 5" in text


def test_a_room_that_was_not_measured_has_no_curve():
    assert curve(deque()) == ""
    assert len(curve(deque([21.0] * 3))) == 3
