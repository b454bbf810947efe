"""Who is connected, and what each device subscribed to.

A device has one connection at a time: a second one evicts the first. Subscriptions belong to the
device's session, not to the connection, and outlive the hub's process, because clients that
connect with clean session 0 do not subscribe again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from host_tools.hub.state.documents import JsonObject
from host_tools.hub.state.identity import split_key
from host_tools.hub.state.store import Change, Changes, Store

_SESSION = "session"
_ACTIVITY = "activity"


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
        self._unsaved: set[str] = set()
        self._waiters: dict[str, set[asyncio.Future[None]]] = {}
        self._sessions: dict[str, dict[str, int]] = {}
        self._observers: list[Callable[[str, bool], None]] = []
        self._load()

    def on_change(self, observer: Callable[[str, bool], None]) -> None:
        """Call `observer` with the device id and whether it is connected, when that changes."""
        self._observers.append(observer)

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
        self.touch(device_id)
        self._state_changed(device_id)
        if former is None:
            self._tell(device_id, True)
        if former is not None and former is not connection:
            former.close("another connection of the same device took over")
        self._wake(device_id)
        return device_id in self._sessions

    def detach(self, device_id: str, connection: Connection) -> bool:
        """The connection is gone. Returns: False if another had taken its place already."""
        if self._live.get(device_id) is not connection:
            return False
        del self._live[device_id]
        self._state_changed(device_id)
        self._tell(device_id, False)
        return True

    def drop(self, device_id: str, reason: str) -> None:
        """Close the device's connection, if there is one: it was disabled or deleted."""
        connection = self._live.pop(device_id, None)
        if connection is not None:
            self._state_changed(device_id)
            connection.close(reason)
            self._tell(device_id, False)

    def current(self, device_id: str) -> Connection | None:
        return self._live.get(device_id)

    def is_connected(self, device_id: str) -> bool:
        return device_id in self._live

    def count(self) -> int:
        """How many devices are connected; modules are not counted."""
        return sum(not split_key(key)[1] for key in self._live)

    def connected_ids(self) -> list[str]:
        return list(self._live)

    def touch(self, device_id: str) -> None:
        """The device did something now: its lastActivityTime."""
        self._active_at[device_id] = self._clock()

    def last_activity(self, device_id: str) -> float | None:
        """Unix seconds, or None for never. Kept at connecting and disconnecting only."""
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
            self._store.write([Change(_SESSION, device_id, None)])
            del self._sessions[device_id]

    def sweep(self) -> None:
        """Keep when devices came and went: nobody waits for it, so it is gathered."""
        changes: Changes = []
        for device_id in self._unsaved:
            times: JsonObject = {
                "changed_s": self._changed_at[device_id],
                "active_s": self._active_at.get(device_id),
            }
            changes.append(Change(_ACTIVITY, device_id, times))
        if changes:
            self._store.write(changes)
            self._unsaved.clear()

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

    def stored(self, device_id: str) -> Changes:
        """The changes that drop from storage what is kept for the device."""
        return [Change(_SESSION, device_id, None), Change(_ACTIVITY, device_id, None)]

    def forget(self, device_id: str) -> None:
        """The device is deleted, storage included: close it, drop what is in memory."""
        connection = self._live.pop(device_id, None)
        self._active_at.pop(device_id, None)
        self._changed_at.pop(device_id, None)
        self._sessions.pop(device_id, None)
        self._unsaved.discard(device_id)
        if connection is not None:
            connection.close("the device was deleted")

    def _load(self) -> None:
        for device_id, filters in self._store.load(_SESSION):
            self._sessions[device_id] = cast("dict[str, int]", filters)
        for device_id, times in self._store.load(_ACTIVITY):
            known = cast("dict[str, float]", times)
            self._changed_at[device_id] = known["changed_s"]
            self._active_at[device_id] = known["active_s"]

    def _keep(self, device_id: str, filters: dict[str, int]) -> None:
        document: JsonObject = {**filters}
        self._store.write([Change(_SESSION, device_id, document)])
        self._sessions[device_id] = filters

    def _state_changed(self, device_id: str) -> None:
        self._changed_at[device_id] = self._clock()
        self._unsaved.add(device_id)

    def _tell(self, device_id: str, is_connected: bool) -> None:
        for observer in self._observers:
            observer(device_id, is_connected)

    def _wake(self, device_id: str) -> None:
        for waiter in list(self._waiters.get(device_id, ())):
            if not waiter.done():
                waiter.set_result(None)
