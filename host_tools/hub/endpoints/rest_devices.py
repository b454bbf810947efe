"""REST operations on identities: the registry, its statistics, the queue.

Source: REST specification of the IoT Hub service, 2021-04-12.
"""

from __future__ import annotations

from host_tools.hub.endpoints.rest_call import Answer, Call, etag_header
from host_tools.hub.state.documents import JsonObject
from host_tools.hub.state.errors import argument_invalid
from host_tools.hub.state.hub import Hub
from host_tools.hub.state.registry import MAX_LISTED


async def list_devices(hub: Hub, call: Call) -> Answer:
    return Answer([*hub.registry.list(call.number("top", MAX_LISTED))])


async def get_device(hub: Hub, call: Call) -> Answer:
    return _device_answer(hub.registry.get(call.device_id))


async def put_device(hub: Hub, call: Call) -> Answer:
    """With If-Match an update, without a creation."""
    (device_id,) = call.names
    identity = {**call.json_object(), "moduleId": None}
    if identity.get("deviceId", device_id) != device_id:
        raise argument_invalid("deviceId differs from the one in the path.")
    if call.if_match is None:
        return _device_answer(hub.registry.create({**identity, "deviceId": device_id}))
    return _device_answer(hub.registry.update(device_id, identity, call.if_match))


async def update_devices(hub: Hub, call: Call) -> Answer:
    """400 as soon as one of them failed, with the same body; the others are done."""
    outcome = hub.bulk.apply(call.json())
    return Answer(outcome, status=200 if outcome["isSuccessful"] else 400)


async def delete_device(hub: Hub, call: Call) -> Answer:
    hub.registry.delete(call.device_id, call.if_match)
    return Answer(status=204)


async def purge_commands(hub: Hub, call: Call) -> Answer:
    purged = hub.c2d.purge(call.device_id)
    return Answer({"totalMessagesPurged": purged, "deviceId": call.device_id, "moduleId": None})


async def registry_statistics(hub: Hub, call: Call) -> Answer:
    return Answer(hub.registry.statistics())


async def service_statistics(hub: Hub, call: Call) -> Answer:
    return Answer({"connectedDeviceCount": hub.connections.count()})


def _device_answer(identity: JsonObject) -> Answer:
    return Answer(identity, headers=etag_header(identity["etag"]))
