"""Loopback addresses for tests that run side by side, also beside those of another checkout."""

from __future__ import annotations

import secrets


def own_address() -> str:
    """An address of 127.0.0.0/8 that nobody else has: fixed ports can then be bound on it."""
    first, second, third = (1 + secrets.randbelow(254) for _ in range(3))
    return f"127.{first}.{second}.{third}"
