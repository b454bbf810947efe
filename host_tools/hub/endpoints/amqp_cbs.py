"""`$cbs`: a client shows its token, and thereby what it may do on this connection.

Source: AMQP Claims-based Security (working draft), section 3 (put-token); measured with uamqp,
azure-eventhub and Node's client, which accepts no status but 200.
"""

from __future__ import annotations

from host_tools.hub.endpoints.amqp_nodes import Grants, Route
from host_tools.hub.endpoints.amqp_requests import Reply, RequestNode
from host_tools.hub.state.errors import HubError
from host_tools.hub.wire.amqp_message import Message, Value
from host_tools.hub.wire.sas import is_signature

_SAS_TYPES = ("servicebus.windows.net:sastoken", "azure-devices.net:sastoken")
_ENTRA_TYPES = ("bearer", "jwt")  # azure-iot-hub's word for it, and azure-eventhub's
_MAX_AUDIENCE_CHARS = 1024  # a host name and a path of a few segments


def build_cbs_route(grants: Grants) -> Route:
    node = RequestNode(lambda request: _answer(grants, request))
    return Route(r"\$cbs", node.open_requests, node.open_replies, needs_grant=False)


def _answer(grants: Grants, request: Message) -> Reply:
    asked = request.application_properties
    token = request.body.value if isinstance(request.body, Value) else None
    audience, operation, kind = asked.get("name"), asked.get("operation"), asked.get("type")
    if operation != "put-token" or not isinstance(audience, str) or not isinstance(token, str):
        return Reply(400, "Not a put-token with a name and a token.")
    if len(audience) > _MAX_AUDIENCE_CHARS:
        return Reply(400, "The name is too long.")
    if kind not in (_SAS_TYPES if is_signature(token) else _ENTRA_TYPES):
        return Reply(401, "The token is not of a type that is accepted here.")
    try:
        grants.put(audience, token)
    except HubError as error:
        return Reply(error.http_status, error.message)
    return Reply(200, "OK")
