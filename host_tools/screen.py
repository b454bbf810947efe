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

# As many readings as the curve of a room has columns.
CURVE_COLUMNS = 40
LOG_LINES = 6
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
    log: deque[str] = field(default_factory=lambda: deque(maxlen=LOG_LINES))


def degrees(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f} °C"


def curve(values: deque[float]) -> str:
    """The readings as one line of bars, scaled between their minimum and maximum."""
    if not values:
        return ""
    low, high = min(values), max(values)
    # A room that holds its temperature is a flat line, not noise blown up to full height.
    span = max(high - low, 0.5)
    return "".join(_BARS[int((value - low) / span * (len(_BARS) - 1))] for value in values)


def zones_table(view: View) -> Table:
    table = Table(expand=True, box=None, pad_edge=False)
    for title in ("room", "temperature", "set point", "relay", "acknowledged", "lately"):
        table.add_column(
            title, justify="right" if title in ("temperature", "set point") else "left"
        )
    for zone in view.zones:
        relay = Text("ON", style="bold red") if zone.heating else Text("off", style="dim")
        table.add_row(
            zone.name,
            degrees(zone.temperature),
            degrees(zone.target),
            relay,
            zone.ack,
            Text(curve(zone.curve), style="cyan"),
        )
    return table


def messages_line(view: View) -> str:
    counters = view.counters
    return (
        f"telemetry {counters.get('telemetry_sent', 0)} sent, "
        f"{counters.get('telemetry_acked', 0)} acknowledged · "
        f"set points {counters.get('desired_acked', 0)} accepted, "
        f"{counters.get('desired_rejected', 0)} refused · "
        f"commands {counters.get('commands_answered', 0)} · "
        f"messages {counters.get('c2d_completed', 0)} · "
        f"twin desired v{view.desired_version}, reported v{view.reported_version}"
    )


def title(view: View) -> str:
    state = "online" if view.connected else "offline"
    return (
        f"{view.device} is {state} at {view.hub} · {view.model or 'no model yet'} · "
        f"outside {degrees(view.outside)} · rooms at {view.speed:g}× · {view.seconds:.0f} s"
    )


def draw(view: View) -> RenderableType:
    """The whole screen."""
    tour = Text("\n".join(f"✓ {line}" for line in view.tour) or "the tour begins …")
    log = Text("\n".join(view.log) or "–", style="dim", no_wrap=True, overflow="ellipsis")
    return Group(
        Text(title(view), style="bold"),
        Panel(zones_table(view), title="rooms"),
        Text(messages_line(view)),
        Panel(tour, title="tour through azure-iot-hub"),
        Panel(log, title="console of the thermostat"),
        Text("Ctrl-C ends everything", style="dim"),
    )


def state_line(view: View) -> str:
    """The same in one line, for logs and pipes."""
    rooms = ", ".join(
        f"{zone.name} {degrees(zone.temperature)} (set {degrees(zone.target)}, "
        f"relay {'ON' if zone.heating else 'off'})"
        for zone in view.zones
    )
    return f"{view.seconds:5.1f} s  outside {degrees(view.outside)}, {rooms}"
