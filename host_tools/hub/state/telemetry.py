"""Telemetry: what devices sent, stamped by the hub, in partitions, kept for a while.

A device always writes to the same partition, chosen by a hash of its id, so that its messages
stay in order. An event is safe, and seen by subscribers, once it is committed: the MQTT door
appends, awaits `hub.flush()`, and only then acknowledges (PUBACK); appends of one turn of the
event loop share one commit.
Source: Azure IoT Hub developer guide, "Create and read IoT Hub messages", system properties.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from host_tools.hub.state import errors
from host_tools.hub.state.connections import Connections
from host_tools.hub.state.documents import JsonObject
from host_tools.hub.state.identity import split_key
from host_tools.hub.state.registry import Registry
from host_tools.hub.state.store import EventRow, Store

PARTITIONS = 2  # consumers of the SDK walk partitions one by one: more only adds latency
MAX_MESSAGE_BYTES = 256 * 1024  # body, property names and values; the service's own limit
RETENTION_S = 24 * 3600
KEPT_PER_PARTITION = 100_000  # bounds memory and file size, as a day of a busy device would not
SWEEP_S = 60
OFFSET_STEP = 512  # offsets look like byte positions; consumers only compare them

DEVICE_SAS = '{"scope":"device","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}'

# Bag key of the MQTT topic → AMQP property of the event.
_SYSTEM_NAMES = {
    "$.mid": "message-id",
    "$.cid": "correlation-id",
    "$.uid": "user-id",
    "$.ct": "content-type",
    "$.ce": "content-encoding",
    "$.exp": "absolute-expiry-time",
    "$.to": "to",
}
_SUBJECT = "$.sub"
# Bag keys that are system properties of routes and modules: kept as annotations.
_ANNOTATED = {"$.on": "iothub-outputname", "$.ifid": "iothub-interface-id"}


@dataclass(frozen=True)
class Event:
    """One stored message. `device_id` is "" for what no device is about.

    `system` are AMQP properties (message-id, content-type, …), `properties` what the device set
    (None: a name without value), `annotations` the hub's stamps (iothub-connection-device-id,
    iothub-enqueuedtime in ms, iothub-message-source, dt-dataschema, dt-subject, …).
    """

    partition: int
    sequence_number: int
    enqueued_ms: int
    device_id: str
    body: bytes
    system: dict[str, str]
    properties: dict[str, str | None]
    annotations: dict[str, str | int]

    @property
    def offset(self) -> str:
        return str(self.sequence_number * OFFSET_STEP)


class Telemetry:
    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        registry: Registry,
        connections: Connections,
        partitions: int = PARTITIONS,
    ) -> None:
        self._store = store
        self._clock = clock
        self._registry = registry
        self._connections = connections
        self.partitions = partitions
        self._last = [-1] * partitions
        for partition, (_, last) in store.sequence_ranges().items():
            if partition < partitions:
                self._last[partition] = last
        self._committed = list(self._last)
        self._uncommitted: list[Event] = []
        self._subscribers: list[Callable[[Event], None]] = []
        self._swept_s = 0.0
        store.after_commit(self._publish)

    def append(
        self,
        key: str,
        body: bytes,
        bag: dict[str, str | None],
        model_id: str = "",
        auth_method: str = DEVICE_SAS,
    ) -> Event:
        """Take a message of the device or module that `key` names. It is safe after `await
        hub.flush()`.

        `bag`: decoded names (`$.mid`, literal dollar) and values of the topic's property bag;
        None is a name without `=`. `model_id`: announced on this connection, or "".
        Raises: HubError 404001, 413001.
        """
        self._registry.require(key)
        _check_size(body, bag)
        event = self._build(key, body, bag, model_id, auth_method)
        self._keep(event)
        self._connections.touch(key)
        return event

    def append_notice(
        self,
        key: str,
        body: bytes,
        system: dict[str, str],
        properties: dict[str, str],
        source: str,
    ) -> None:
        """Take an event of the hub's own about a device or module, which need not exist any
        more."""
        device_id, _ = split_key(key)
        annotations: dict[str, str | int] = {**_origin(key), "iothub-message-source": source}
        known: dict[str, str | None] = {**properties}
        self._keep(self._event(device_id, device_id, body, system, known, annotations))

    def append_cloud_event(self, twin_id: str, body: bytes, attributes: dict[str, str]) -> None:
        """Take an event of Digital Twins, whose attributes are application properties; it is of
        no device, even if one has the twin's name.
        Source: CloudEvents, AMQP protocol binding 1.0, binary content mode."""
        properties: dict[str, str | None] = {
            f"cloudEvents:{name}": value for name, value in attributes.items()
        }
        system = {"content-type": "application/json"}
        self._keep(self._event(twin_id, "", body, system, properties, {}))

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Call `callback` with every event once it is committed. Returns: the way to stop."""
        self._subscribers.append(callback)

        def unsubscribe() -> None:
            if callback in self._subscribers:
                self._subscribers.remove(callback)

        return unsubscribe

    def read(self, partition: int, first: int = 0, limit: int = 100) -> list[Event]:
        """Committed events of a partition, from sequence number `first` on."""
        limit = min(limit, self._committed[partition] - first + 1)
        rows = self._store.read_events(partition, first, limit) if limit > 0 else ()
        return [_from_row(row) for row in rows]

    def partition_of(self, device_id: str) -> int:
        digest = hashlib.sha256(device_id.encode("utf-8")).digest()
        return int.from_bytes(digest[:4], "big") % self.partitions

    def last_sequence_number(self, partition: int) -> int:
        """Of what is committed; −1 for an empty partition."""
        return self._committed[partition]

    def last_event(self, partition: int) -> Event | None:
        found = self.read(partition, self._committed[partition], 1)
        return found[0] if found else None

    def number_at(self, offset: int, is_inclusive: bool) -> int:
        """The sequence number of the first event at an offset (or behind it, if not inclusive).
        Every offset before the first stands for the beginning."""
        if offset < 0:
            return 0
        number, rest = divmod(offset, OFFSET_STEP)
        return number if is_inclusive and not rest else number + 1

    def first_sequence_number(self, partition: int) -> int:
        """Of the oldest event that is kept; one beyond the last of an empty partition."""
        first, _ = self._store.sequence_ranges().get(partition, (self._last[partition] + 1, 0))
        return first

    def first_since(self, partition: int, enqueued_ms: int) -> int:
        """The sequence number of the first event of that time or later, or the next one's."""
        found = self._store.first_event_since(partition, enqueued_ms)
        return self._last[partition] + 1 if found is None else found

    def sweep(self) -> None:
        """Drop events beyond the retention, once a minute."""
        now = self._clock()
        if now - self._swept_s >= SWEEP_S:
            self._swept_s = now
            self._store.trim_events(int((now - RETENTION_S) * 1000), KEPT_PER_PARTITION)

    def _keep(self, event: Event) -> None:
        self._last[event.partition] = event.sequence_number
        self._uncommitted.append(event)
        self._store.append_event(_to_row(event))

    def _build(
        self,
        key: str,
        body: bytes,
        bag: dict[str, str | None],
        model_id: str,
        auth_method: str,
    ) -> Event:
        device_id, _ = split_key(key)
        annotations: dict[str, str | int] = {
            **_origin(key),
            "iothub-connection-auth-method": auth_method,
            "iothub-connection-auth-generation-id": self._registry.generation_id(key),
            "iothub-message-source": "Telemetry",
        }
        if model_id:
            annotations["dt-dataschema"] = model_id
        system: dict[str, str] = {}
        properties: dict[str, str | None] = {}
        for name, value in bag.items():
            if name in _SYSTEM_NAMES:
                system[_SYSTEM_NAMES[name]] = value or ""
            elif name == _SUBJECT:
                annotations["dt-subject"] = value or ""
            elif name in _ANNOTATED:
                annotations[_ANNOTATED[name]] = value or ""
            else:
                properties[name] = value
        return self._event(device_id, device_id, body, system, properties, annotations)

    def _event(
        self,
        origin: str,
        device_id: str,
        body: bytes,
        system: dict[str, str],
        properties: dict[str, str | None],
        annotations: dict[str, str | int],
    ) -> Event:
        """The next of the partition that `origin` chooses, stamped with the time."""
        enqueued_ms = int(self._clock() * 1000)
        partition = self.partition_of(origin)
        return Event(
            partition=partition,
            sequence_number=self._last[partition] + 1,
            enqueued_ms=enqueued_ms,
            device_id=device_id,
            body=body,
            system=system,
            properties=properties,
            annotations={**annotations, "iothub-enqueuedtime": enqueued_ms},
        )

    def _publish(self, committed: bool) -> None:
        events, self._uncommitted = self._uncommitted, []
        if committed:
            self._committed = list(self._last)
        for event in events if committed else ():
            for callback in list(self._subscribers):
                callback(event)


def _origin(key: str) -> dict[str, str]:
    device_id, module_id = split_key(key)
    origin = {"iothub-connection-device-id": device_id}
    return {**origin, "iothub-connection-module-id": module_id} if module_id else origin


def _check_size(body: bytes, bag: dict[str, str | None]) -> None:
    size = len(body)
    for name, value in bag.items():
        # Of system properties only the values count.
        size += 0 if name.startswith("$.") else len(name.encode("utf-8", "replace"))
        size += len((value or "").encode("utf-8", "replace"))
    if size > MAX_MESSAGE_BYTES:
        raise errors.too_large("The message is longer than 256 KB.")


def _to_row(event: Event) -> EventRow:
    head = {
        "device_id": event.device_id,
        "system": event.system,
        "properties": event.properties,
        "annotations": event.annotations,
    }
    return EventRow(
        event.partition,
        event.sequence_number,
        event.enqueued_ms,
        cast(JsonObject, head),
        event.body,
    )


def _from_row(row: EventRow) -> Event:
    head = row.head
    assert isinstance(head, dict)
    return Event(
        partition=row.partition,
        sequence_number=row.sequence_number,
        enqueued_ms=row.enqueued_ms,
        device_id=str(head["device_id"]),
        body=row.body,
        system=cast("dict[str, str]", head["system"]),
        properties=cast("dict[str, str | None]", head["properties"]),
        annotations=cast("dict[str, str | int]", head["annotations"]),
    )
