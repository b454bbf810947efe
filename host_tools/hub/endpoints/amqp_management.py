"""`$management` of the Event Hubs-compatible endpoint: which partitions there are, and how far.

The token comes with each request, or has come by `$cbs`; the link itself needs none.
Source: AMQP Management (working draft); the replies as azure-eventhub 5.15 reads them.
"""

from __future__ import annotations

import re

from host_tools.hub.endpoints.amqp_nodes import Grants, Route
from host_tools.hub.endpoints.amqp_requests import Reply, RequestNode
from host_tools.hub.state.errors import HubError
from host_tools.hub.state.hub import Hub
from host_tools.hub.wire.amqp_message import Message
from host_tools.hub.wire.amqp_types import Array, Int, Long, Timestamp

_HUB = "com.microsoft:eventhub"
_PARTITION = "com.microsoft:partition"


def build_management_routes(grants: Grants) -> tuple[Route, ...]:
    """One for all, and the one to which those are sent who ask where the events are."""
    own = re.escape(grants.hub.event_hub_name) + r"/\$management"
    return tuple(_route(pattern, grants) for pattern in (r"\$management", own))


def _route(pattern: str, grants: Grants) -> Route:
    node = RequestNode(lambda request: _answer(grants, request))
    return Route(pattern, node.open_requests, node.open_replies, needs_grant=False)


def _answer(grants: Grants, request: Message) -> Reply:
    asked, hub = request.application_properties, grants.hub
    name, kind = asked.get("name"), asked.get("type")
    if asked.get("operation") != "READ" or not isinstance(name, str):
        return Reply(400, "Not a READ with a name.")
    if name.lower() not in (hub.event_hub_name.lower(), "messages/events"):
        return Reply(404, f"The messaging entity {name} could not be found.")
    if (refusal := _refusal(grants, name, asked.get("security_token"))) is not None:
        return refusal
    if kind == _HUB:
        return Reply(200, "OK", _describe_hub(hub, name))
    if kind == _PARTITION:
        return _describe_partition(hub, name, asked.get("partition"))
    return Reply(400, "The type is neither an event hub nor a partition.")


def _refusal(grants: Grants, name: str, token: object) -> Reply | None:
    """None: who asks may know."""
    if token is None and grants.cover(name):
        return None
    if isinstance(token, bytes):
        token = token.decode("utf-8", "replace")
    if not isinstance(token, str):
        return Reply(401, "The request carries no security_token.")
    try:
        grants.check(name, token)
    except HubError as error:
        return Reply(error.http_status, error.message)
    return None


def _describe_hub(hub: Hub, name: str) -> dict[object, object]:
    count = hub.telemetry.partitions
    return {
        "name": name,
        "type": _HUB,
        "created_at": Timestamp(int(hub.started_s * 1000)),
        "partition_count": Int(count),
        "partition_ids": Array(str, tuple(str(each) for each in range(count))),
    }


def _describe_partition(hub: Hub, name: str, partition: object) -> Reply:
    known = [str(each) for each in range(hub.telemetry.partitions)]
    if partition not in known:
        return Reply(404, f"There is no partition {partition!s:.20}.")
    number = int(str(partition))
    last = hub.telemetry.last_event(number)
    return Reply(
        200,
        "OK",
        {
            "name": name,
            "type": _PARTITION,
            "partition": str(partition),
            "begin_sequence_number": Long(hub.telemetry.first_sequence_number(number)),
            "last_enqueued_sequence_number": Long(hub.telemetry.last_sequence_number(number)),
            "last_enqueued_offset": last.offset if last else "-1",
            "last_enqueued_time_utc": Timestamp(last.enqueued_ms if last else 0),
            "is_partition_empty": last is None,
        },
    )
