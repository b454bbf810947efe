"""What `make run` shows: a live screen on a terminal, plain lines elsewhere.

It draws a `View` and knows nothing of hubs, devices or files.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

# As many readings are kept as the curve of a room can have columns.
CURVE_COLUMNS = 40
LOG_LINES = 12
# What the columns left of the curve take, with borders
_BESIDE_CURVE = 62
# Everything but the lines of tour and console: a terminal of 24 rows has room for both
_FIXED_ROWS = 15
_BARS = "▁▂▃▄▅▆▇█"


@dataclass
class ZoneView:
    """One room as it is known from outside the device. Temperatures in °C."""

    name: str
    temperature: float | None = None
    target: float | None = None
    ack: str = ""
    heating: bool = False
    curve: deque[float] = field(default_factory=lambda: deque(maxlen=CURVE_COLUMNS))


@dataclass
class View:
    """Everything the screen shows at one moment."""

    device: str
    hub: str
    zones: list[ZoneView]
    seconds: float = 0.0
    speed: float = 1.0
    outside: float | None = None
    connected: bool = False
    model: str = ""
    desired_version: int = 0
    reported_version: int = 0
    counters: dict[str, int] = field(default_factory=dict)
    tour: list[str] = field(default_factory=list)
    tour_failed: bool = False
    log: deque[str] = field(default_factory=lambda: deque(maxlen=LOG_LINES))


def degrees(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} °C"


def curve(readings: deque[float], columns: int = CURVE_COLUMNS) -> str:
    """The last readings as one line of bars, scaled between their minimum and maximum."""
    values = list(readings)[-columns:]
    if not values:
        return ""
    low, high = min(values), max(values)
    # A room that holds its temperature is a flat line, not noise blown up to full height.
    span = max(high - low, 0.5)
    return "".join(_BARS[int((value - low) / span * (len(_BARS) - 1))] for value in values)


def zones_table(view: View, width: int) -> Table:
    table = Table(expand=True, box=None, pad_edge=False)
    for title in ("room", "temperature", "set point", "relay", "acknowledged"):
        is_number = title in ("temperature", "set point")
        table.add_column(title, justify="right" if is_number else "left", no_wrap=True)
    table.add_column("lately", ratio=1, no_wrap=True)
    for zone in view.zones:
        relay = Text("ON", style="bold red") if zone.heating else Text("off", style="dim")
        table.add_row(
            zone.name,
            degrees(zone.temperature),
            degrees(zone.target),
            relay,
            zone.ack,
            Text(curve(zone.curve, max(1, width - _BESIDE_CURVE)), style="cyan"),
        )
    return table


def title_lines(view: View) -> list[str]:
    state = "online" if view.connected else "offline"
    return [
        f"{view.device} is {state} at {view.hub} · outside {degrees(view.outside)} · "
        f"rooms at {view.speed:g}× · {view.seconds:.0f} s",
        f"{view.model or 'no model yet'} · "
        f"twin desired v{view.desired_version}, reported v{view.reported_version}",
    ]


def message_lines(view: View) -> list[str]:
    counters = view.counters
    return [
        f"telemetry {counters.get('telemetry_sent', 0)} sent, "
        f"{counters.get('telemetry_acked', 0)} acknowledged · "
        f"set points {counters.get('desired_acked', 0)} accepted, "
        f"{counters.get('desired_rejected', 0)} refused",
        f"commands {counters.get('commands_answered', 0)} answered · "
        f"cloud-to-device messages {counters.get('c2d_completed', 0)} handled",
    ]


def tour_lines(view: View) -> list[str]:
    """Steps with their marks; a tour that failed says so in its last line."""
    marks = ["✓"] * len(view.tour)
    if view.tour_failed:
        marks[-1:] = ["✗"]
    steps = [f"{mark} {line}" for mark, line in zip(marks, view.tour, strict=True)]
    return steps or ["the tour begins …"]


def draw(view: View, width: int, height: int) -> RenderableType:
    """The whole screen, in so many columns and rows; its least is 80 by 24."""
    tour = tour_lines(view)
    log_rows = max(1, min(LOG_LINES, height - _FIXED_ROWS - len(tour)))
    return Group(
        *[_line(line, "bold") for line in title_lines(view)],
        Panel(zones_table(view, width), title="rooms"),
        *[_line(line) for line in message_lines(view)],
        Panel(_line("\n".join(tour)), title="tour through azure-iot-hub"),
        Panel(
            _line("\n".join(list(view.log)[-log_rows:]) or "–", "dim"),
            title="console of the thermostat",
        ),
        Text("Ctrl-C ends everything", style="dim"),
    )


def _line(text: str, style: str = "") -> Text:
    """What is too long for the terminal is cut, visibly, and takes no second row."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def state_line(view: View) -> str:
    """The same in one line, for logs and pipes."""
    rooms = ", ".join(
        f"{zone.name} {degrees(zone.temperature)} (set {degrees(zone.target)}, "
        f"relay {'ON' if zone.heating else 'off'})"
        for zone in view.zones
    )
    return f"{view.seconds:5.1f} s  outside {degrees(view.outside)}, {rooms}"
