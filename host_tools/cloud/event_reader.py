"""Events of a hub, from its Event Hubs-compatible endpoint, as plain documents."""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from host_tools.cloud.connection import EVENTS_VARIABLE, HubConnection, sdk
from host_tools.service import ServiceError

_QUEUED = 10_000
# The SDK tries to reach a hub that has gone for ever, without a pause and without a word. After
# so long without an event the hub is asked whether it is there
_QUIET_S = 10.0
# Any device may send any depth, and Python ends what goes deeper than some hundreds: nothing that
# handles an event later shall
_DEEPEST = 100


def read_events(
    connection: HubConnection, group: str, start: Any, is_over: Callable[[], bool]
) -> Iterator[dict[str, Any]]:
    """Events as they come, from all partitions, until `is_over()`.

    `start`: a position of azure-eventhub's for all partitions, or {partition: sequence number of
    the last event that was dealt with}, where what is missing begins with the oldest event.
    Raises ServiceError, and what the SDK raises.
    """
    if connection.events is None:
        raise ServiceError(
            f"where events are read is not known; set {EVENTS_VARIABLE} to the connection string "
            "of the hub's built-in endpoint (az iot hub connection-string show --default-eventhub)"
        )
    # What it warns of comes as an exception where it matters
    logging.getLogger("azure.eventhub").setLevel(logging.CRITICAL)
    options = {}
    if bundle := os.environ.get("SSL_CERT_FILE"):
        options["connection_verify"] = bundle
    client = sdk("azure.eventhub").EventHubConsumerClient.from_connection_string(
        connection.events.reveal(), group, **options
    )
    if isinstance(start, dict):
        start = _positions(client, start)
    arrived: queue.Queue[Any] = queue.Queue(_QUEUED)
    thread = threading.Thread(target=_receive, args=(client, start, arrived), daemon=True)
    thread.start()
    heard_s = time.monotonic()
    try:
        while not is_over():
            try:
                found = arrived.get(timeout=0.2)
            except queue.Empty:
                if time.monotonic() - heard_s > _QUIET_S:
                    client.get_eventhub_properties()
                    heard_s = time.monotonic()
                continue
            heard_s = time.monotonic()
            if isinstance(found, Exception):
                raise found
            yield _document(*found)
    finally:
        client.close()
        thread.join(5)


def _receive(client: Any, start: Any, arrived: queue.Queue[Any]) -> None:
    def on_error(_: Any, error: Exception) -> None:
        arrived.put(error)

    try:
        client.receive(
            on_event=lambda place, event: arrived.put((place.partition_id, event)),
            on_error=on_error,
            starting_position=start,
        )
    except Exception as error:  # noqa: BLE001 - it is told in the thread that reads the queue
        arrived.put(error)


def _positions(client: Any, known: dict[str, int]) -> dict[str, Any]:
    """Where each partition goes on. A hub that has begun anew counts from the beginning: what
    was known of the one before means nothing then."""
    found: dict[str, Any] = {}
    for partition in client.get_partition_ids():
        last = client.get_partition_properties(partition)["last_enqueued_sequence_number"]
        number = known.get(partition)
        found[partition] = "-1" if number is None or number > last else number
    return found


def _document(partition: str, event: Any) -> dict[str, Any]:
    annotations = {_text(name): _text(value) for name, value in event.system_properties.items()}
    return {
        "time": event.enqueued_time.isoformat(),
        "device": annotations.get("iothub-connection-device-id", ""),
        "module": annotations.get("iothub-connection-module-id"),
        "component": annotations.get("dt-subject", ""),
        "model": annotations.get("dt-dataschema", ""),
        "source": annotations.get("iothub-message-source", ""),
        "contentType": event.content_type,
        "contentEncoding": annotations.get("content-encoding", ""),
        "properties": {_text(n): _text(v) for n, v in (event.properties or {}).items()},
        "partition": partition,
        "number": event.sequence_number,
        "body": _body(b"".join(event.body)),
    }


def _body(octets: bytes) -> Any:
    """What it is as JSON; the text of what is none, or is too deep."""
    try:
        found = json.loads(octets, parse_constant=_refuse)
        if not _is_too_deep(found):
            return found
    except (ValueError, RecursionError):
        pass
    return octets.decode(errors="replace")


def _refuse(word: str) -> Any:
    """NaN and Infinity, which Python reads and nobody else takes for JSON."""
    raise ValueError(word)


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_DEEPEST):
        opened = (each for each in level if isinstance(each, (dict, list)))
        level = [
            inner
            for each in opened
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


def _text(value: Any) -> Any:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
