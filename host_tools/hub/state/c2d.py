"""Cloud-to-device messages: a queue of 50 per device, locked while a device has one in hand.

States: enqueued → locked → completed, or back to enqueued, or dead-lettered (expired, rejected,
given up after too many abandons, purged). Queued messages outlive the hub's process.
Source: Azure IoT Hub developer guide, "Send cloud-to-device messages from an IoT hub".
"""

from __future__ import annotations

import base64
import itertools
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from host_tools.hub.state import errors
from host_tools.hub.state.connections import Connections
from host_tools.hub.state.documents import LAST_S, Json, JsonObject
from host_tools.hub.state.feedback import SUCCESS, Feedback, is_wanted
from host_tools.hub.state.identity import split_key
from host_tools.hub.state.registry import Registry
from host_tools.hub.state.store import Change, Changes, Store

MAX_QUEUED = 50  # the service's own limit; the next send is refused with 403004
MAX_MESSAGE_BYTES = 64 * 1024
LOCK_S = 60
DEFAULT_TTL_S = 3600
MAX_DELIVERIES = 10
ACKNOWLEDGEMENTS = ("none", "positive", "negative", "full")

_KIND = "c2d"
_OPTIONAL_TEXTS = ("message_id", "correlation_id", "user_id", "content_type", "content_encoding")


@dataclass
class Message:
    """One message. The sender fills the first group; the hub the second.

    `expires_s` is unix seconds (None: the default TTL; later than LAST_S, as .NET's
    DateTime.MaxValue is when it is rounded: LAST_S); `ack` one of ACKNOWLEDGEMENTS;
    `properties` are application properties, None standing for a name without value.
    """

    body: bytes
    message_id: str | None = None
    correlation_id: str | None = None
    user_id: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    expires_s: float | None = None
    ack: str = "none"
    properties: dict[str, str | None] = field(default_factory=dict)

    to: str = ""
    sequence_number: int = 0
    enqueued_s: float = 0.0
    delivery_count: int = 0
    lock: str = ""
    locked_until_s: float = 0.0

    def size_bytes(self) -> int:
        texts = [getattr(self, name) or "" for name in _OPTIONAL_TEXTS]
        for name, value in self.properties.items():
            texts += [name, value or ""]
        return len(self.body) + sum(len(text.encode("utf-8")) for text in texts)


class C2d:
    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        registry: Registry,
        connections: Connections,
        feedback: Feedback,
    ) -> None:
        self._store = store
        self._clock = clock
        self._registry = registry
        self._connections = connections
        self._feedback = feedback
        self._queues: dict[str, list[Message]] = {}
        last = 0
        for key, document in store.load(_KIND):
            device_id, number = _split_key(key)
            self._queues.setdefault(device_id, []).append(_from_document(document))
            last = max(last, number)
        self._numbers = itertools.count(last + 1)
        registry.on_delete(self)
        registry.queue_length = self.count

    def send(self, device_id: str, message: Message) -> Message:
        """Queue a message; committed when it returns. Wakes the connected device.

        Fills in message id (when absent), `to`, number, time and expiry.
        Raises: HubError 404001, 403004 (queue full), 413001, 400004 (bad ack).
        """
        self._require_device(device_id)
        if message.ack not in ACKNOWLEDGEMENTS:
            raise errors.argument_invalid(f"iothub-ack is not one of {ACKNOWLEDGEMENTS}.")
        if message.size_bytes() > MAX_MESSAGE_BYTES:
            raise errors.too_large("The message is longer than 64 KB.")
        self._expire(device_id)
        queue = self._queues.setdefault(device_id, [])
        if len(queue) >= MAX_QUEUED:
            raise errors.queue_full(device_id)
        self._stamp(device_id, message)
        self._store.write([_change(device_id, message)])
        queue.append(message)
        self._wake(device_id)
        return message

    def next(self, device_id: str) -> Message | None:
        """Lock the oldest waiting message for 60 s and give it, or None.

        The `lock` of the message names it in `complete` and `abandon`.
        """
        self._expire(device_id)
        for message in self._queues.get(device_id, ()):
            if not message.lock:
                message.lock = uuid.uuid4().hex
                message.locked_until_s = self._clock() + LOCK_S
                return message
        return None

    def complete(self, device_id: str, lock: str) -> None:
        """The device has it (its PUBACK): drop the message; committed when it returns.
        Raises: HubError 412002 when the lock is lost."""
        message = self._locked(device_id, lock)
        self._end(device_id, [message], SUCCESS)
        self._connections.touch(device_id)

    def reject(self, device_id: str, lock: str) -> None:
        """The device will not have it: the message is dead.
        Raises: HubError 412002 when the lock is lost."""
        self._end(device_id, [self._locked(device_id, lock)], "Rejected")
        self._connections.touch(device_id)

    def abandon(self, device_id: str, lock: str) -> None:
        """Put a message back, counted: the tenth time it is given up.
        Raises: HubError 412002 when the lock is lost."""
        message = self._locked(device_id, lock)
        message.lock = ""
        message.delivery_count += 1
        if message.delivery_count >= MAX_DELIVERIES:
            self._end(device_id, [message], "DeliveryCountExceeded")
        else:
            self._store.write([_change(device_id, message)])
            self._wake(device_id)

    def abandon_all(self, device_id: str) -> None:
        """The connection is gone: what it held is waiting again, uncounted."""
        for message in self._queues.get(device_id, ()):
            message.lock = ""

    def purge(self, device_id: str) -> int:
        """Drop every queued message. Returns: how many."""
        self._require_device(device_id)
        messages = list(self._queues.get(device_id, ()))
        self._end(device_id, messages, "Purged")
        return len(messages)

    def count(self, device_id: str) -> int:
        """How many messages are queued, locked ones included."""
        return len(self._queues.get(device_id, ()))

    def sweep(self) -> None:
        """Drop expired messages, free expired locks, wake devices that have some again."""
        for device_id in list(self._queues):
            if self._expire(device_id):
                self._wake(device_id)

    def stored(self, device_id: str) -> Changes:
        """The changes that drop from storage what is kept for the device."""
        queue = self._queues.get(device_id, ())
        return [Change(_KIND, _key(device_id, message), None) for message in queue]

    def forget(self, device_id: str) -> None:
        """The device is deleted, storage included: drop what is in memory."""
        self._queues.pop(device_id, None)

    def _require_device(self, device_id: str) -> None:
        """Modules have no queue. Raises: HubError 404001."""
        if split_key(device_id)[1]:
            raise errors.device_not_found(device_id)
        self._registry.require(device_id)

    def _stamp(self, device_id: str, message: Message) -> None:
        now = self._clock()
        message.message_id = message.message_id or str(uuid.uuid4())
        message.to = f"/devices/{device_id}/messages/devicebound"
        message.sequence_number = next(self._numbers)
        message.enqueued_s = now
        expires_s = now + DEFAULT_TTL_S if message.expires_s is None else message.expires_s
        message.expires_s = min(expires_s, LAST_S)

    def _expire(self, device_id: str) -> bool:
        """Returns: whether a lock ran out, so that a message waits again."""
        now = self._clock()
        freed = False
        expired = []
        for message in self._queues.get(device_id, ()):
            if message.lock and message.locked_until_s <= now:
                message.lock = ""
                freed = True
            if not message.lock and message.expires_s is not None and message.expires_s <= now:
                expired.append(message)
        self._end(device_id, expired, "Expired")
        return freed

    def _locked(self, device_id: str, lock: str) -> Message:
        self._expire(device_id)
        for message in self._queues.get(device_id, ()):
            if lock and message.lock == lock:
                return message
        raise errors.lock_lost(device_id)

    def _end(self, device_id: str, messages: list[Message], outcome: str) -> None:
        """The one place where messages end, and with them, in one write, who wants to hear of
        it is told."""
        if not messages:
            return
        changes = [Change(_KIND, _key(device_id, each), None) for each in messages]
        told = []
        for each in messages:
            if is_wanted(each.ack, outcome):
                generation_id = self._registry.generation_id(device_id)
                more, keep = self._feedback.record(
                    each.message_id or "", device_id, generation_id, outcome
                )
                changes += more
                told.append(keep)
        self._store.write(changes)
        for each in messages:
            self._queues[device_id].remove(each)
        for keep in told:
            keep()

    def _wake(self, device_id: str) -> None:
        connection = self._connections.current(device_id)
        if connection is not None:
            connection.wake_c2d()


def _key(device_id: str, message: Message) -> str:
    return f"{message.sequence_number:016x}/{device_id}"


def _split_key(key: str) -> tuple[str, int]:
    number, _, device_id = key.partition("/")
    return device_id, int(number, 16)


def _change(device_id: str, message: Message) -> Change:
    document: JsonObject = {name: getattr(message, name) for name in _OPTIONAL_TEXTS}
    properties: JsonObject = {**message.properties}
    document |= {
        "body": base64.b64encode(message.body).decode("ascii"),
        "properties": properties,
        "ack": message.ack,
        "to": message.to,
        "expires_s": message.expires_s,
        "enqueued_s": message.enqueued_s,
        "sequence_number": message.sequence_number,
        "delivery_count": message.delivery_count,
    }
    return Change(_KIND, _key(device_id, message), document)


def _from_document(document: Json) -> Message:
    assert isinstance(document, dict)
    fields = dict(document)
    body = fields.pop("body")
    assert isinstance(body, str)
    message = Message(base64.b64decode(body), **fields)  # type: ignore[arg-type]
    if message.expires_s is not None:
        # States of earlier versions may hold a time that no device can be told
        message.expires_s = min(message.expires_s, LAST_S)
    return message
