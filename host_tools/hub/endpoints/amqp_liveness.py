"""When an AMQP connection is dead, and when it has to show that it lives.

Source: AMQP 1.0 part 2 "Transport", section 2.4.5 (idle time-out).
"""

from __future__ import annotations

from collections.abc import Callable

# From the first byte to `open`: a stranger's place is not for keeps.
OPEN_S = 10
IDLE_TIME_OUT_MS = 240_000  # as the service announces it; enforced at twice the value
MIN_HEARTBEAT_S = 0.5  # a peer that announces one millisecond does not get a flood


class Liveness:
    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._begun = self._heard = self._spoken = monotonic()
        self._heartbeat_s: float | None = None

    def on_heard(self) -> None:
        self._heard = self._monotonic()

    def on_spoken(self) -> None:
        self._spoken = self._monotonic()

    def expect_within(self, idle_time_out_ms: int) -> None:
        """The peer gives us up after this long; half of it leaves room for a slow network."""
        self._heartbeat_s = max(MIN_HEARTBEAT_S, idle_time_out_ms / 2000)

    def complaint(self, is_open: bool) -> str | None:
        """Why the connection has to end, or None."""
        now = self._monotonic()
        if not is_open and now - self._begun > OPEN_S:
            return "no open in time"
        if now - self._heard > 2 * IDLE_TIME_OUT_MS / 1000:
            return "nothing was heard for too long"
        return None

    @property
    def heartbeat_is_due(self) -> bool:
        waited_s = self._monotonic() - self._spoken
        return self._heartbeat_s is not None and waited_s >= self._heartbeat_s

    @property
    def tick_s(self) -> float:
        return 1.0 if self._heartbeat_s is None else min(1.0, self._heartbeat_s / 2)
