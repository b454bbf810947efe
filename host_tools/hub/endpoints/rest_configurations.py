"""REST operations on configurations.

Source: REST specification of the IoT Hub service, 2021-04-12, "Configuration".
"""

from __future__ import annotations

from host_tools.hub.endpoints.rest_call import Answer, Call, etag_header
from host_tools.hub.state.configurations import MAX_CONFIGURATIONS
from host_tools.hub.state.documents import JsonObject
from host_tools.hub.state.errors import argument_invalid
from host_tools.hub.state.hub import Hub


async def list_configurations(hub: Hub, call: Call) -> Answer:
    return Answer([*hub.configurations.first(call.number("top", MAX_CONFIGURATIONS))])


async def get_configuration(hub: Hub, call: Call) -> Answer:
    return _configuration_answer(hub.configurations.get(call.names[0]))


async def put_configuration(hub: Hub, call: Call) -> Answer:
    """With If-Match an update, without a creation."""
    (configuration_id,) = call.names
    document = call.json_object()
    if document.get("id", configuration_id) != configuration_id:
        raise argument_invalid("The id differs from the one in the path.")
    if call.if_match is None:
        made = hub.configurations.create(configuration_id, document)
        return _configuration_answer(made, 201)
    return _configuration_answer(
        hub.configurations.update(configuration_id, document, call.if_match)
    )


async def delete_configuration(hub: Hub, call: Call) -> Answer:
    hub.configurations.delete(call.names[0], call.if_match)
    return Answer(status=204)


async def test_queries(hub: Hub, call: Call) -> Answer:
    return Answer(hub.configurations.test_queries(call.json_object()))


async def apply_content(hub: Hub, call: Call) -> Answer:
    hub.configurations.apply_content(call.device_id, call.json_object())
    return Answer(status=204)


def _configuration_answer(document: JsonObject, status: int = 200) -> Answer:
    return Answer(document, status, etag_header(document["etag"]))
