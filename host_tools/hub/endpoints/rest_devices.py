"""REST operations on identities: the registry, its statistics, the queue, the list of twins.

Source: REST specification of the IoT Hub service, 2021-04-12.
"""

from __future__ import annotations

import base64
import binascii
import re

from host_tools.hub.endpoints.rest_call import Answer, Call, etag_header, parse_number
from host_tools.hub.state.documents import JsonObject
from host_tools.hub.state.errors import argument_invalid
from host_tools.hub.state.hub import Hub
from host_tools.hub.state.registry import MAX_LISTED

_ALL_DEVICES = re.compile(r"\s*SELECT\s+\*\s+FROM\s+devices\s*;?\s*", re.IGNORECASE)


async def list_devices(hub: Hub, call: Call) -> Answer:
    return Answer([*hub.registry.list(call.number("top", MAX_LISTED))])


async def get_device(hub: Hub, call: Call) -> Answer:
    return _device_answer(hub.registry.get(call.names[0]))


async def put_device(hub: Hub, call: Call) -> Answer:
    """With If-Match an update, without a creation."""
    (device_id,) = call.names
    identity = call.json_object()
    if identity.get("deviceId", device_id) != device_id:
        raise argument_invalid("deviceId differs from the one in the path.")
    if call.if_match is None:
        return _device_answer(hub.registry.create({**identity, "deviceId": device_id}))
    return _device_answer(hub.registry.update(device_id, identity, call.if_match))


async def delete_device(hub: Hub, call: Call) -> Answer:
    hub.registry.delete(call.names[0], call.if_match)
    return Answer(status=204)


async def purge_commands(hub: Hub, call: Call) -> Answer:
    (device_id,) = call.names
    purged = hub.c2d.purge(device_id)
    return Answer({"totalMessagesPurged": purged, "deviceId": device_id, "moduleId": None})


async def registry_statistics(hub: Hub, call: Call) -> Answer:
    return Answer(hub.registry.statistics())


async def service_statistics(hub: Hub, call: Call) -> Answer:
    return Answer({"connectedDeviceCount": hub.connections.count()})


async def query_devices(hub: Hub, call: Call) -> Answer:
    """The twins of all devices, page by page; the token is the last id of the page."""
    query = call.json_object().get("query")
    if not isinstance(query, str) or not _ALL_DEVICES.fullmatch(query):
        raise argument_invalid("Only the query SELECT * FROM devices is understood.")
    size = parse_number(call.headers.get("x-ms-max-item-count"), "x-ms-max-item-count", MAX_LISTED)
    if not 1 <= size <= MAX_LISTED:
        raise argument_invalid("x-ms-max-item-count is not in 1 to 1000.")
    after = _parse_continuation(call.headers.get("x-ms-continuation"))
    waiting = [each for each in hub.registry.device_ids() if each > after]
    headers = {"x-ms-item-type": "Twin"}
    if len(waiting) > size:
        last = waiting[size - 1].encode("ascii")
        headers["x-ms-continuation"] = base64.b64encode(last).decode("ascii")
    return Answer([hub.twins.get(each) for each in waiting[:size]], headers=headers)


def _parse_continuation(token: str | None) -> str:
    try:
        return base64.b64decode(token or "", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise argument_invalid("x-ms-continuation is not a token of this hub.") from None


def _device_answer(identity: JsonObject) -> Answer:
    return Answer(identity, headers=etag_header(identity["etag"]))
