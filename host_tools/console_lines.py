"""What a board says on its console, line by line: what kind each is, and how it looks.

The log's form is that of firmware/system/log.py: `12.345 WARNING iothub: text`. Programs rely on
the lines `stats {json}`, `up SLOT` and `safe mode`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from rich.text import Text

_RECORD = re.compile(r"(\d+\.\d{3}) (DEBUG|INFO|WARNING|ERROR) ([^:\s]{1,40}): (.*)")
_UP = re.compile(r"up ([ab-])")
_STATS = "stats "
_STYLES = {"DEBUG": "dim", "INFO": "green", "WARNING": "yellow", "ERROR": "bold red"}
_MARKS = {"up": "bold green", "safe": "bold red", "reset": "bold magenta"}


@dataclass(frozen=True)
class Line:
    """`kind`: log, stats, up, safe, reset (a board that begins anew) or text."""

    kind: str
    text: str
    level: str = ""
    part: str = ""
    time_s: float | None = None
    message: str = ""
    stats: dict[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """For programs: one JSON object."""
        if self.kind == "log":
            return {
                "kind": "log",
                "time_s": self.time_s,
                "level": self.level,
                "part": self.part,
                "message": self.message,
            }
        if self.kind == "stats":
            return {"kind": "stats", "stats": self.stats}
        if self.kind == "up":
            return {"kind": "up", "slot": self.message}
        return {"kind": self.kind, "text": self.text}

    def painted(self) -> Text:
        """For a terminal. The board's own colours, and whatever else steers one, are out."""
        if self.kind != "log":
            return Text(self.text, _MARKS.get(self.kind, ""))
        return Text.assemble(
            (f"{self.time_s:.3f} ", "dim"),
            (f"{self.level:<7} ", _STYLES[self.level]),
            (f"{self.part}: ", "cyan"),
            (self.message, "bold" if self.level == "ERROR" else ""),
        )


def parse(line: str) -> Line:
    """Anything is a line of some kind: a board is not obliged to make sense."""
    text = "".join(letter if letter.isprintable() else " " for letter in line).rstrip()
    record = _RECORD.fullmatch(text)
    if record:
        time_s, level, part, message = record.groups()
        return Line("log", text, level, part, float(time_s), message)
    if text.startswith(_STATS):
        stats = _object(text[len(_STATS) :])
        if stats is not None:
            return Line("stats", text, stats=stats)
    up = _UP.fullmatch(text)
    if up:
        return Line("up", text, message=up[1])
    if text == "safe mode":
        return Line("safe", text)
    if "soft reboot" in text or text.startswith(("rst:0x", "ets ", "ESP-ROM:")):
        return Line("reset", text)
    return Line("text", text)


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def status(stats: dict[str, Any]) -> str:
    """The counters of a `stats` line in one short line; those that it has."""
    parts = [
        str(stats["state"]) if "state" in stats else "",
        f"up {_duration(stats['uptime_s'])}" if _is_number(stats.get("uptime_s")) else "",
        f"heap {stats['heap'] / 1024:.0f} KB" if _is_number(stats.get("heap")) else "",
        _counts(
            stats,
            "sent",
            ("telemetry_sent", ""),
            ("telemetry_acked", "acked"),
            ("telemetry_waiting", "waiting"),
            ("telemetry_dropped", "lost"),
        ),
        _counts(stats, "commands", ("commands_answered", "")),
        _counts(stats, "desired", ("desired_acked", ""), ("desired_rejected", "refused")),
        _counts(stats, "reconnects", ("reconnects", "")),
    ]
    return " · ".join(part for part in parts if part)


def _counts(stats: dict[str, Any], title: str, *names: tuple[str, str]) -> str:
    """Waiting, lost and refused are worth their place when there are any."""
    found = []
    for name, word in names:
        if _is_number(stats.get(name)) and (stats[name] or word in ("", "acked")):
            found.append(f"{stats[name]} {word}".strip())
    return f"{title} {', '.join(found)}" if found else ""


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _duration(seconds: float) -> str:
    minutes = int(seconds) // 60
    if minutes < 1:
        return f"{int(seconds)} s"
    if minutes < 60:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h {minutes % 60:02} min" if hours < 48 else f"{hours // 24} days"
