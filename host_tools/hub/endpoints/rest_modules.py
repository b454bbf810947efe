"""REST operations on the identities of modules.

Source: REST specification of the IoT Hub service, 2021-04-12, "Modules".
"""

from __future__ import annotations

from host_tools.hub.endpoints.rest_call import Answer, Call, etag_header
from host_tools.hub.state.documents import JsonObject
from host_tools.hub.state.errors import argument_invalid
from host_tools.hub.state.hub import Hub


async def list_modules(hub: Hub, call: Call) -> Answer:
    return Answer([*hub.registry.list_modules(call.device_id)])


async def get_module(hub: Hub, call: Call) -> Answer:
    return _module_answer(hub.registry.get(call.identity_key))


async def put_module(hub: Hub, call: Call) -> Answer:
    """With If-Match an update, without a creation."""
    device_id, module_id = call.names
    identity = call.json_object()
    named = identity.get("deviceId", device_id), identity.get("moduleId", module_id)
    if named != (device_id, module_id):
        raise argument_invalid("deviceId or moduleId differs from the one in the path.")
    if call.if_match is None:
        whole = {**identity, "deviceId": device_id, "moduleId": module_id}
        return _module_answer(hub.registry.create(whole))
    return _module_answer(hub.registry.update(call.identity_key, identity, call.if_match))


async def delete_module(hub: Hub, call: Call) -> Answer:
    hub.registry.delete(call.identity_key, call.if_match)
    return Answer(status=204)


def _module_answer(identity: JsonObject) -> Answer:
    return Answer(identity, headers=etag_header(identity["etag"]))
