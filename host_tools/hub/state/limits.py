"""A tier's daily quota and its throttles, for those who want to meet them before Azure does.

Off unless a tier is chosen. A service hub first delays what devices send, then rejects; here
telemetry is only delayed (its acknowledgements come later), everything else only rejected, so
that a test sees the same each time. Counts live as long as the process.

Sources: IoT Hub quotas and throttling (Free, B1 and S1: one column for the rates); the free
tier's 8,000 messages of 0.5 KB a day. What besides messages the service meters, and by how much,
is not documented for each operation: here a request's own body is what is metered, one unit at
least, and a registry operation is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from host_tools.hub.state.errors import quota_exceeded, throttled

TELEMETRY = "telemetry"
TWIN_READ = "twin read"
TWIN_UPDATE = "twin update"
METHOD = "method"
C2D = "message to a device"
QUERY = "query"
REGISTRY = "registry operation"

_DAY_S = 86400
_MINUTE_S = 60
_METHOD_UNIT_BYTES = 4096


@dataclass(frozen=True)
class Tier:
    """What one unit of it allows: `messages` a day, each of `unit_bytes`."""

    messages: int
    unit_bytes: int


TIERS = {"F1": Tier(8_000, 512), "S1": Tier(400_000, 4096)}


@dataclass(frozen=True)
class _Rate:
    """`count` operations in `period_s`, which may also come all at once."""

    count: int
    period_s: int


_RATES = {
    TELEMETRY: _Rate(100, 1),
    TWIN_READ: _Rate(100, 1),
    TWIN_UPDATE: _Rate(50, 1),
    METHOD: _Rate(40, 1),  # 160 KB, in units of 4 KB
    C2D: _Rate(100, _MINUTE_S),
    QUERY: _Rate(20, _MINUTE_S),
    REGISTRY: _Rate(100, _MINUTE_S),
}


class Limits:
    """The counters of one hub. `tier` is a key of TIERS; None: nothing is limited."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tier: Tier | None = None
        self._name = ""
        self._buckets: dict[str, _Bucket] = {}
        self._day = -1
        self._used = 0

    @property
    def used_today(self) -> int:
        """Messages metered since midnight, UTC."""
        self._turn_page()
        return self._used

    def choose(self, name: str | None) -> None:
        """Raises: KeyError for an unknown tier."""
        self._tier = None if name is None else TIERS[name]
        self._name = name or ""
        now_s = self._clock()
        self._buckets = {kind: _Bucket(rate, now_s) for kind, rate in _RATES.items()}

    def spend(self, kind: str, size_bytes: int = 0) -> None:
        """One operation whose body has so many bytes. Raises: HubError 403002 when the day's
        quota is spent, 429001 when there were too many of its kind (never for telemetry)."""
        if self._tier is None:
            return
        self._turn_page()
        messages = 0 if kind == REGISTRY else _units(size_bytes, self._tier.unit_bytes)
        if self._used + messages > self._tier.messages:
            raise quota_exceeded(self._name, self._tier.messages)
        if kind != TELEMETRY:
            amount = _units(size_bytes, _METHOD_UNIT_BYTES) if kind == METHOD else 1
            if not self._buckets[kind].take(amount, self._clock()):
                raise throttled(kind)
        self._used += messages

    def delay_s(self, messages: int) -> float:
        """How long the acknowledgement of so many telemetry messages has to wait."""
        if self._tier is None:
            return 0.0
        return self._buckets[TELEMETRY].borrow(messages, self._clock())

    def _turn_page(self) -> None:
        day = int(self._clock() // _DAY_S)
        if day != self._day:
            self._day, self._used = day, 0


class _Bucket:
    """Filled at a steady rate, up to what may come at once."""

    def __init__(self, rate: _Rate, now_s: float) -> None:
        self._rate = rate
        self._level = float(rate.count)
        self._seen_s = now_s

    def take(self, amount: int, now_s: float) -> bool:
        """False, and nothing is taken, if there is not enough. What is larger than the bucket
        passes when that is full."""
        self._fill(now_s)
        if self._level < min(amount, self._rate.count):
            return False
        self._level -= amount
        return True

    def borrow(self, amount: int, now_s: float) -> float:
        """Take it; the seconds until the bucket is out of debt again."""
        self._fill(now_s)
        self._level -= amount
        return max(0.0, -self._level * self._rate.period_s / self._rate.count)

    def _fill(self, now_s: float) -> None:
        passed_s = max(0.0, now_s - self._seen_s)
        self._seen_s = now_s
        gained = passed_s * self._rate.count / self._rate.period_s
        self._level = min(float(self._rate.count), self._level + gained)


def _units(size_bytes: int, unit_bytes: int) -> int:
    return max(1, math.ceil(size_bytes / unit_bytes))
