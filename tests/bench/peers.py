"""What the firmware is measured beside."""

from __future__ import annotations

from host_tools.simulation import Parts


def umqtt_bytes(made: Parts) -> int:
    """Of umqtt.simple as it is, compiled."""
    return sum(path.stat().st_size for path in made.library.rglob("*.mpy"))
