"""The Event Hubs-compatible endpoint: a link reads one partition from a position on.

Addresses are `{name}/ConsumerGroups/{group}/Partitions/{n}`, where `messages/events`, IoT Hub's
own name for the same thing, stands for the name as well.
Source: Azure IoT Hub, "Read device-to-cloud messages from the built-in endpoint"; the filters,
annotations and link properties as azure-eventhub 5.15 sends and reads them.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass

from host_tools.hub.endpoints.amqp_link import LinkError
from host_tools.hub.endpoints.amqp_nodes import NOT_FOUND, Grants, Route
from host_tools.hub.endpoints.amqp_outgoing import OutgoingLink, Sender
from host_tools.hub.state.consumers import Stolen
from host_tools.hub.state.errors import HubError
from host_tools.hub.state.hub import Hub
from host_tools.hub.state.telemetry import Event, Telemetry
from host_tools.hub.wire.amqp_message import Data, Message, Properties
from host_tools.hub.wire.amqp_performatives import Attach, Error, Source
from host_tools.hub.wire.amqp_types import Described, Long, Symbol, Timestamp, UShort

SELECTOR = "apache.org:selector-filter:string"
METRICS = "com.microsoft:enable-receiver-runtime-metric"
_EPOCH = Symbol("com.microsoft:epoch")
_STOLEN = "amqp:link:stolen"
# Read from storage at once: a compromise between statements and memory per reader
_BATCH = 64
_MAX_FILTER_CHARS = 256
_FILTER = re.compile(
    r"amqp\.annotation\.x-opt-(offset|sequence-number|enqueued-time(?:-utc)?) *"
    r"(>=?) *'(-?[0-9]{1,19}|@latest)'"
)
# As az iot hub monitor-events writes it
_OLD_FILTER = re.compile(r"amqp\.annotation\.x-opt-(enqueuedtimeutc) *(>=?) *([0-9]{1,19})")
# There az iot hub monitor-events asks where the events are, and Microsoft's sample that makes an
# Event Hubs connection string of IoT Hub's
_ASKED_WHERE = r"messages/events/\$management"
# Clients of Event Hubs know no other
_PORT = 5671

_LOG = logging.getLogger(__name__)


def build_events_route(grants: Grants) -> Route:
    name = re.escape(grants.hub.event_hub_name)
    return Route(
        rf"(?:{name}|messages/events)/consumergroups/([^/]{{1,50}})/partitions/([0-9]{{1,4}})",
        outgoing=lambda link, match: _Reader(grants.hub, link, match[1], int(match[2])),
        # azure-eventhub asks to settle and never does
        sends_settled=True,
    )


def build_redirect_route(grants: Grants) -> Route:
    """Source: AMQP 1.0 part 2 "Transport", section 2.8.17 (link errors)."""

    def redirect(link: OutgoingLink, match: re.Match[str]) -> Sender:
        host = grants.hub.host_name
        address = f"amqps://{host}:{_PORT}/{grants.hub.event_hub_name}/$management"
        where: dict[object, object] = {
            Symbol("hostname"): host,
            Symbol("network-host"): host,
            Symbol("port"): UShort(_PORT),
            Symbol("address"): address,
        }
        raise LinkError("the events are elsewhere", "amqp:link:redirect", where)

    return Route(_ASKED_WHERE, outgoing=redirect)


@dataclass(frozen=True)
class _Start:
    """`kind` is offset, sequence-number or a name of the time; `value` None is the latest."""

    kind: str
    is_inclusive: bool
    value: int | None


class _Reader:
    """Sends what there is as the client gives credit, then what comes."""

    def __init__(self, hub: Hub, link: OutgoingLink, group: str, partition: int) -> None:
        telemetry = hub.telemetry
        if partition >= telemetry.partitions:
            raise LinkError(f"there is no partition {partition}", NOT_FOUND)
        self._hub = hub
        self._link = link
        self._partition = partition
        self._tells_metrics = METRICS in link.attach.desired_capabilities
        self._next = _first(telemetry, partition, _parse_start(link.attach))
        self._read: list[Event] = []
        try:
            self._leave = hub.consumers.join(group, partition, _epoch(link.attach), self._end)
        except Stolen as error:
            raise LinkError(error.message, _STOLEN) from None
        except HubError as error:
            raise LinkError(error.message, "amqp:resource-limit-exceeded") from None
        self._unsubscribe = telemetry.subscribe(self._on_event)

    def on_credit(self) -> None:
        telemetry = self._hub.telemetry
        while self._link.can_send:
            if not self._read:
                # Newest first, so that the next one is at the end
                self._read = telemetry.read(self._partition, self._next, _BATCH)[::-1]
                if not self._read:
                    return
                self._next = self._read[0].sequence_number + 1
            self._send(self._read.pop())

    def on_settled(self, delivery_id: int, state: object) -> None:
        """Readers keep their own place; what they do with an event is their affair."""

    def on_detach(self) -> None:
        self._unsubscribe()
        self._leave()

    def _on_event(self, event: Event) -> None:
        if event.partition == self._partition:
            self.on_credit()

    def _send(self, event: Event) -> None:
        try:
            self._link.send(self._build(event))
        except UnicodeEncodeError as error:
            # A state of earlier versions may hold such an event, before which nobody could begin
            _LOG.error("event %s is passed over: %s", event.offset, error)

    def _end(self, reason: Stolen) -> None:
        self._link.detach(Error(_STOLEN, reason.message))

    def _build(self, event: Event) -> Message:
        message = build_event(event)
        if self._tells_metrics:
            telemetry = self._hub.telemetry
            last = telemetry.last_event(self._partition) or event
            message.delivery_annotations = {
                Symbol("last_enqueued_sequence_number"): Long(last.sequence_number),
                Symbol("last_enqueued_offset"): last.offset,
                Symbol("last_enqueued_time_utc"): Timestamp(last.enqueued_ms),
                Symbol("runtime_info_retrieval_time_utc"): Timestamp(
                    int(self._hub.clock() * 1000)
                ),
            }
        return message


def build_event(event: Event) -> Message:
    annotations: dict[object, object] = {
        Symbol("x-opt-sequence-number"): Long(event.sequence_number),
        Symbol("x-opt-offset"): event.offset,
        Symbol("x-opt-enqueued-time"): Timestamp(event.enqueued_ms),
    }
    for name, value in event.annotations.items():
        # The only numbers among them are times
        annotations[Symbol(name)] = Timestamp(value) if isinstance(value, int) else value
    system = event.system
    user_id = system.get("user-id")
    return Message(
        body=Data((event.body,)),
        message_annotations=annotations,
        properties=Properties(
            message_id=system.get("message-id"),
            user_id=None if user_id is None else user_id.encode("utf-8"),
            to=system.get("to"),
            correlation_id=system.get("correlation-id"),
            content_type=_symbol(system.get("content-type")),
            content_encoding=_symbol(system.get("content-encoding")),
        ),
        application_properties=dict(event.properties.items()),
    )


def _symbol(text: str | None) -> str | None:
    """Symbols are ASCII; a device may have written anything."""
    return None if text is None else text.encode("ascii", "replace").decode("ascii")


def _first(telemetry: Telemetry, partition: int, start: _Start) -> int:
    """The sequence number to begin with."""
    if start.value is None:
        return telemetry.last_sequence_number(partition) + 1
    if start.kind == "sequence-number":
        return max(0, start.value if start.is_inclusive else start.value + 1)
    if start.kind == "offset":
        return telemetry.number_at(start.value, start.is_inclusive)
    # Times are in milliseconds, and so is `first_since`
    at_ms = start.value if start.is_inclusive else start.value + 1
    return telemetry.first_since(partition, at_ms)


def _parse_start(attach: Attach) -> _Start:
    """Without a filter a link gets what comes from now on, as the service has it."""
    filters = attach.source.filter if isinstance(attach.source, Source) else None
    text = None
    for name, value in (filters or {}).items():
        if name == SELECTOR:
            text = value.value if isinstance(value, Described) else value
    if text is None:
        return _Start("offset", False, None)
    match = None
    if isinstance(text, str) and len(text) <= _MAX_FILTER_CHARS:
        match = _FILTER.fullmatch(text.strip()) or _OLD_FILTER.fullmatch(text.strip())
    if match is None:
        raise LinkError("the filter is not one of a position", "amqp:invalid-field")
    value = None if match[3] == "@latest" else int(match[3])
    return _Start(match[1], match[2] == ">=", value)


def _epoch(attach: Attach) -> int | None:
    value = (attach.properties or {}).get(_EPOCH)
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else None
