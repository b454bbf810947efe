"""REST operations on twins and methods, of devices and modules, and on digital twins.

A status that a device chose is its answer, not an error: HTTP says 200.
Source: REST specification of the IoT Hub service, 2021-04-12.
"""

from __future__ import annotations

import uuid
from urllib.parse import quote

from host_tools.hub.endpoints.rest_call import Answer, Call, etag_header
from host_tools.hub.state.documents import Json, JsonObject
from host_tools.hub.state.errors import argument_invalid
from host_tools.hub.state.hub import Hub
from host_tools.hub.state.methods import DEFAULT_RESPONSE_TIMEOUT_S


async def get_twin(hub: Hub, call: Call) -> Answer:
    return _twin_answer(hub.twins.get(call.identity_key))


async def patch_twin(hub: Hub, call: Call) -> Answer:
    return _write_twin(hub, call, replace=False)


async def put_twin(hub: Hub, call: Call) -> Answer:
    return _write_twin(hub, call, replace=True)


async def invoke_method(hub: Hub, call: Call) -> Answer:
    hub.registry.require(call.identity_key)
    request = call.json_object()
    name = request.get("methodName")
    if not isinstance(name, str):
        raise argument_invalid("methodName is not a text.")
    result = await hub.methods.invoke(
        call.identity_key,
        name,
        request.get("payload"),
        _seconds(request, "responseTimeoutInSeconds", DEFAULT_RESPONSE_TIMEOUT_S),
        _seconds(request, "connectTimeoutInSeconds", 0),
    )
    return Answer({"status": result.status, "payload": result.payload})


async def get_digital_twin(hub: Hub, call: Call) -> Answer:
    document, etag = hub.twins.digital_twin(call.device_id)
    return Answer(document, headers=etag_header(etag))


async def patch_digital_twin(hub: Hub, call: Call) -> Answer:
    etag = hub.twins.patch_digital_twin(call.device_id, call.json(), call.if_match)
    location = f"/digitaltwins/{quote(call.device_id, safe='')}"
    return Answer(status=202, headers={**etag_header(etag), "Location": location})


async def invoke_root_command(hub: Hub, call: Call) -> Answer:
    return await _invoke_command(hub, call, call.names[1])


async def invoke_component_command(hub: Hub, call: Call) -> Answer:
    _, component, command = call.names
    return await _invoke_command(hub, call, f"{component}*{command}")


async def _invoke_command(hub: Hub, call: Call, name: str) -> Answer:
    hub.registry.require(call.device_id)
    payload: Json = call.json() if call.body.strip() else None
    result = await hub.methods.invoke(
        call.device_id,
        name,
        payload,
        call.number("responseTimeoutInSeconds", DEFAULT_RESPONSE_TIMEOUT_S),
        call.number("connectTimeoutInSeconds", 0),
    )
    headers = {
        "x-ms-command-statuscode": str(result.status),
        "x-ms-request-id": str(uuid.uuid4()),
    }
    return Answer(result.payload, headers=headers)


def _write_twin(hub: Hub, call: Call, replace: bool) -> Answer:
    hub.registry.require(call.identity_key)
    patch = call.json_object()
    return _twin_answer(hub.twins.update_desired(call.identity_key, patch, call.if_match, replace))


def _twin_answer(twin: JsonObject) -> Answer:
    return Answer(twin, headers=etag_header(twin["etag"]))


def _seconds(request: JsonObject, name: str, default: int) -> int:
    value = request.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        raise argument_invalid(f"{name} is not a whole number of seconds.")
    return value
