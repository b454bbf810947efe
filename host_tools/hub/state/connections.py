"""Who is connected, and what each device subscribed to.

A device has one connection at a time: a second one evicts the first. Subscriptions belong to the
device's session, not to the connection, and outlive the hub's process, because clients that
connect with clean session 0 do not subscribe again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from host_tools.hub.state.documents import JsonObject
from host_tools.hub.state.store import Change, Store

_KIND = "session"


class Connection(Protocol):
    """What a door offers for a connected device. Nothing here may block or raise."""

    def send_method(self, name: str, rid: str, payload_json: bytes) -> bool:
        """Send a method request; False when the device has not subscribed to methods."""

    def send_desired(self, patch: JsonObject, version: int) -> None:
        """Send a change of desired properties, if the device subscribed to them.
        `patch` is the whole body to send: it already contains `$version`."""

    def wake_c2d(self) -> None:
        """Messages may be waiting: ask `hub.c2d.next` until it gives None."""

    def close(self, reason: str) -> None:
        """Close the connection. It may call `detach` later or never."""


class Connections:
    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._live: dict[str, Connection] = {}
        self._changed_at: dict[str, float] = {}
        self._active_at: dict[str, float] = {}
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}
        self._sessions: dict[str, dict[str, int]] = {}
        for device_id, filters in store.load(_KIND):
            assert isinstance(filters, dict)
            self._sessions[device_id] = {
                name: qos for name, qos in filters.items() if isinstance(qos, int)
            }

    def attach(self, device_id: str, connection: Connection, clean_session: bool = False) -> bool:
        """Make `connection` the device's own, closing the one before.

        `clean_session` drops the subscriptions of the device first. Returns: whether a session
        was present (for CONNACK). Queued messages are not sent from here: the door asks
        `hub.c2d.next` once it is ready.
        """
        former = self._live.pop(device_id, None)
        if clean_session:
            self.clear_subscriptions(device_id)
        self._live[device_id] = connection
        self._changed_at[device_id] = self._clock()
        self.touch(device_id)
        if former is not None and former is not connection:
            former.close("another connection of the same device took over")
        self._wake(device_id)
        return device_id in self._sessions

    def detach(self, device_id: str, connection: Connection) -> bool:
        """The connection is gone. Returns: False if another had taken its place already."""
        if self._live.get(device_id) is not connection:
            return False
        del self._live[device_id]
        self._changed_at[device_id] = self._clock()
        return True

    def drop(self, device_id: str, reason: str) -> None:
        """Close the device's connection, if there is one: it was disabled or deleted."""
        connection = self._live.pop(device_id, None)
        if connection is not None:
            self._changed_at[device_id] = self._clock()
            connection.close(reason)

    def current(self, device_id: str) -> Connection | None:
        return self._live.get(device_id)

    def is_connected(self, device_id: str) -> bool:
        return device_id in self._live

    def count(self) -> int:
        return len(self._live)

    def connected_ids(self) -> list[str]:
        return list(self._live)

    def touch(self, device_id: str) -> None:
        """The device did something now: its lastActivityTime."""
        self._active_at[device_id] = self._clock()

    def last_activity(self, device_id: str) -> float | None:
        """Unix seconds, or None for never since the hub started."""
        return self._active_at.get(device_id)

    def changed_at(self, device_id: str) -> float | None:
        """When the device last connected or disconnected, or None."""
        return self._changed_at.get(device_id)

    def subscriptions(self, device_id: str) -> dict[str, int]:
        """Topic filter → granted QoS, as kept for the device's session (a copy)."""
        return dict(self._sessions.get(device_id, {}))

    def subscribe(self, device_id: str, topic_filter: str, qos: int) -> None:
        """Keep one granted subscription; committed when it returns (before the SUBACK).

        Wakes method calls that wait for the device to subscribe; they try `send_method` in a
        later turn of the event loop.
        """
        self._keep(device_id, {**self.subscriptions(device_id), topic_filter: qos})
        self._wake(device_id)

    def unsubscribe(self, device_id: str, topic_filter: str) -> None:
        filters = self.subscriptions(device_id)
        if filters.pop(topic_filter, None) is not None:
            self._keep(device_id, filters)

    def clear_subscriptions(self, device_id: str) -> None:
        """End the session (clean session 1)."""
        if device_id in self._sessions:
            self._store.write([Change(_KIND, device_id, None)])
            del self._sessions[device_id]

    async def changed(self, device_id: str) -> None:
        """Wait until the device connects or subscribes to something."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(device_id, set()).add(waiter)
        try:
            await waiter
        finally:
            waiters = self._waiters.get(device_id, set())
            waiters.discard(waiter)
            if not waiters:
                self._waiters.pop(device_id, None)

    def forget(self, device_id: str) -> list[Change]:
        """The device is deleted: close it; the changes that storage still has to make."""
        self.drop(device_id, "the device was deleted")
        self._active_at.pop(device_id, None)
        self._changed_at.pop(device_id, None)
        if self._sessions.pop(device_id, None) is None:
            return []
        return [Change(_KIND, device_id, None)]

    def _keep(self, device_id: str, filters: dict[str, int]) -> None:
        document: JsonObject = {**filters}
        self._store.write([Change(_KIND, device_id, document)])
        self._sessions[device_id] = filters

    def _wake(self, device_id: str) -> None:
        for waiter in list(self._waiters.get(device_id, ())):
            if not waiter.done():
                waiter.set_result(None)
