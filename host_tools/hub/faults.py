"""Faults that the hub has on purpose, at its MQTT door: what `--fault` says.

    refuse          connections are reset at once
    drop            they are accepted, and nothing is ever answered
    kill=N          reset after N bytes, both ways together, TLS included
    half-open=N     silence after N bytes
    delay=MS        everything arrives so much later
    loris=MS        what the hub says comes byte by byte, one each MS
    throttle=N      N bytes a second, each way
    certificate=K   expired, not-yet-valid, wrong-name, self-signed, other-authority, no-chain
    clock=S         the hub's clock is so many seconds ahead (or, -S, behind)
    duplicates      every PUBLISH to a device is sent twice

Those down to `throttle` come one after the other when each says for how many connections:
`--fault kill=900@3 --fault refuse@2` kills three, refuses two, and then all is well. The others
hold for the whole run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from host_tools.hub.fault_certificates import KINDS as CERTIFICATES
from host_tools.hub.server_error import ServerError

WITH_NUMBER = ("kill", "half-open", "delay", "loris", "throttle")
OF_CONNECTIONS = ("refuse", "drop", *WITH_NUMBER)
WORDS = (*OF_CONNECTIONS, "certificate", "clock", "duplicates")
_MOST = 10**9


@dataclass(frozen=True)
class Fault:
    """What one connection suffers; `value` in bytes, milliseconds, or bytes a second."""

    kind: str
    value: int = 0


@dataclass(frozen=True)
class Faults:
    """`connections`: each fault, and for how many connections, None for all that follow."""

    connections: tuple[tuple[Fault, int | None], ...] = ()
    certificate: str | None = None
    clock_s: int = 0
    duplicates: bool = False

    def sequence(self) -> Iterator[Fault | None]:
        """What the first connection suffers, the second, and so on without end."""
        for fault, count in self.connections:
            left = count
            while left != 0:
                yield fault
                left = None if left is None else left - 1
        while True:
            yield None


NO_FAULTS = Faults()


def parse_faults(texts: Iterable[str]) -> Faults:
    """Raises ServerError for what is not understood."""
    connections: list[tuple[Fault, int | None]] = []
    certificate, clock_s, duplicates = None, 0, False
    for text in texts:
        words, _, count = text.partition("@")
        kind, _, value = words.partition("=")
        if kind not in WORDS:
            raise ServerError(f"--fault {text} is not known; choose from {', '.join(WORDS)}")
        if kind in OF_CONNECTIONS:
            number = _number(text, value) if kind in WITH_NUMBER else 0
            connections.append((Fault(kind, number), _number(text, count) if count else None))
        elif kind == "certificate":
            if value not in CERTIFICATES:
                raise ServerError(f"--fault {text}: choose from {', '.join(CERTIFICATES)}")
            certificate = value
        elif kind == "clock":
            clock_s = _number(text, value.lstrip("+-"), 0) * (-1 if value[:1] == "-" else 1)
        else:
            duplicates = True
    return Faults(tuple(connections), certificate, clock_s, duplicates)


def _number(text: str, digits: str, least: int = 1) -> int:
    if not digits.isdecimal() or not least <= int(digits) <= _MOST:
        raise ServerError(
            f"--fault {text} wants a whole number from {least}, as in kill=900 or kill=900@3"
        )
    return int(digits)
