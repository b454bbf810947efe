"""Feedback: what became of messages to devices, told to the service in batches.

A batch is due with 64 records, or 15 s after its first. Who takes one has it locked for a minute,
then completes it or lets it go; a batch that is never completed goes with its time to live.
Source: Azure IoT Hub developer guide, "Send cloud-to-device messages", message feedback.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from host_tools.hub.state.documents import JsonObject, iso_time
from host_tools.hub.state.errors import feedback_lock_lost
from host_tools.hub.state.store import Change, Changes, Store

MAX_RECORDS = 64
BATCH_S = 15
LOCK_S = 60
TTL_S = 3600
MAX_DELIVERIES = 10
# Nobody may be listening: the oldest go first
MAX_KEPT = 10_000

SUCCESS = "Success"
_KIND = "feedback"
_DESCRIPTIONS = {
    "DeliveryCountExceeded": "DeliveryCount exceeded",
    "Expired": "Expired",
    "Purged": "Purged",
    "Rejected": "Rejected",
    SUCCESS: "Success",
}


def is_wanted(ack: str, outcome: str) -> bool:
    """Whether `iothub-ack` asks for this outcome to be told."""
    return ack == "full" or ack == ("positive" if outcome == SUCCESS else "negative")


@dataclass
class _Record:
    number: int
    added_s: float
    deliveries: int
    document: JsonObject


@dataclass(frozen=True)
class Batch:
    """`records` as the service prints them; `lock` names it in `complete` and `abandon`."""

    lock: str
    enqueued_s: float
    records: list[JsonObject]


class Feedback:
    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._waiting = [_from_document(key, document) for key, document in store.load(_KIND)]
        self._numbers = itertools.count(self._waiting[-1].number + 1 if self._waiting else 1)
        self._locked: dict[str, tuple[float, list[_Record]]] = {}
        self._subscribers: list[Callable[[], None]] = []

    def record(
        self, message_id: str, device_id: str, generation_id: str, outcome: str
    ) -> tuple[Changes, Callable[[], None]]:
        """Note the end of a message. Returns: what is to be stored with it in one write, and what
        is to be called when that has succeeded."""
        now = self._clock()
        document: JsonObject = {
            "originalMessageId": message_id,
            "description": _DESCRIPTIONS[outcome],
            "deviceGenerationId": generation_id,
            "deviceId": device_id,
            "enqueuedTimeUtc": iso_time(now),
            "statusCode": outcome,
        }
        record = _Record(next(self._numbers), now, 0, document)

        def keep() -> None:
            self._waiting.append(record)
            if len(self._waiting) > MAX_KEPT:
                self._drop(self._waiting[: len(self._waiting) - MAX_KEPT])
            self._tell_if_due()

        return [_change(record)], keep

    def next(self) -> Batch | None:
        """Lock the batch that is due, and give it."""
        self._expire()
        if not self._is_due():
            return None
        records, self._waiting = self._waiting[:MAX_RECORDS], self._waiting[MAX_RECORDS:]
        lock = uuid.uuid4().hex
        self._locked[lock] = (self._clock() + LOCK_S, records)
        return Batch(lock, records[0].added_s, [each.document for each in records])

    def complete(self, lock: str) -> None:
        """The service has it. Raises: HubError 412002 when the lock is lost."""
        self._expire()
        self._drop(self._unlock(lock))

    def abandon(self, lock: str) -> None:
        """The service will take it later, or another does: the tenth time it is given up.
        Raises: HubError 412002 when the lock is lost."""
        self._expire()
        self._return(self._unlock(lock))
        self._tell_if_due()

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` when a batch is due. Returns: the way to stop."""
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    def sweep(self) -> None:
        """Let time pass."""
        self._expire()
        self._tell_if_due()

    def _is_due(self) -> bool:
        first = self._waiting[0] if self._waiting else None
        return first is not None and (
            len(self._waiting) >= MAX_RECORDS or self._clock() - first.added_s >= BATCH_S
        )

    def _tell_if_due(self) -> None:
        for callback in list(self._subscribers):
            if not self._is_due():
                return
            callback()

    def _unlock(self, lock: str) -> list[_Record]:
        if lock not in self._locked:
            raise feedback_lock_lost()
        return self._locked.pop(lock)[1]

    def _return(self, records: list[_Record]) -> None:
        for each in records:
            each.deliveries += 1
        self._waiting = sorted([*records, *self._waiting], key=lambda each: each.number)
        self._drop([each for each in records if each.deliveries >= MAX_DELIVERIES])

    def _drop(self, records: list[_Record]) -> None:
        if records:
            self._store.write([Change(_KIND, _key(each.number), None) for each in records])
            numbers = {each.number for each in records}
            self._waiting = [each for each in self._waiting if each.number not in numbers]

    def _expire(self) -> None:
        now = self._clock()
        ended = [lock for lock, (end_s, _) in self._locked.items() if end_s <= now]
        self._return([record for lock in ended for record in self._unlock(lock)])
        self._drop([each for each in self._waiting if each.added_s + TTL_S <= now])
        if ended:
            # Last, for who is told comes back here for its next batch
            self._tell_if_due()


def _key(number: int) -> str:
    return f"{number:016x}"


def _change(record: _Record) -> Change:
    document: JsonObject = {"added_s": record.added_s, "record": record.document}
    return Change(_KIND, _key(record.number), document)


def _from_document(key: str, document: object) -> _Record:
    assert isinstance(document, dict)
    return _Record(int(key, 16), document["added_s"], 0, document["record"])
