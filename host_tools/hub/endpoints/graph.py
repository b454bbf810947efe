"""The door of Azure Digital Twins: behind the hub's own HTTPS port, told apart by api-version.

IoT Hub and Digital Twins share paths (/digitaltwins, /jobs), but no version. Who comes shows a
token of Entra for Digital Twins; there are no connection strings.
Source: REST specification of the Azure Digital Twins data plane, 2023-10-31.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

from aiohttp import web

from host_tools.hub.digital_twins.errors import GraphError
from host_tools.hub.endpoints.graph_call import Answer, Call
from host_tools.hub.endpoints.graph_operations import find_operation
from host_tools.hub.http_request import read_body, split_path
from host_tools.hub.state.entra import DIGITAL_TWINS
from host_tools.hub.state.errors import HubError
from host_tools.hub.state.hub import Hub
from host_tools.hub.storage import StorageError

API_VERSIONS = frozenset(("2020-10-31", "2021-06-30-preview", "2022-05-31", "2023-06-30"))
API_VERSIONS |= {"2023-10-31"}
MAX_BODY_BYTES = 8 * 1024 * 1024  # 250 models of 32 KB; other calls need far less

_LOG = logging.getLogger(__name__)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def add_digital_twins(app: web.Application, hub: Hub) -> None:
    """Answer calls of Digital Twins in `app`, before its own routes are asked."""

    @web.middleware
    async def handle(request: web.Request, handler: _Handler) -> web.StreamResponse:
        if request.query.get("api-version") not in API_VERSIONS:
            return await handler(request)
        return _to_response(await _answer(hub, request.clone(client_max_size=MAX_BODY_BYTES)))

    app.middlewares.append(handle)


async def _answer(hub: Hub, request: web.Request) -> Answer:
    try:
        path, _, query = request.raw_path.partition("?")
        segments = split_path(path)
        hub.entra.authorize(request.headers.get("Authorization"), DIGITAL_TWINS)
        operation, names, exists = find_operation(request.method, segments)
        if operation is None:
            status = 405 if exists else 404
            code = "MethodNotAllowed" if exists else "NotFound"
            return _error(status, code, f"{request.method[:20]} {path[:200]} is nothing here.")
        body = await read_body(request, MAX_BODY_BYTES)
        url = f"https://{request.host}{path}"
        asked = parse_qs(query, keep_blank_values=True)
        answer = await operation(hub, Call(names, asked, request.headers, body, url))
        await hub.flush()  # its events are safe when it is answered
        return answer
    except GraphError as error:
        return _error(error.http_status, error.code, error.message)
    except HubError as error:
        return _error(
            error.http_status, _CODES.get(error.http_status, "BadRequest"), error.message
        )
    except StorageError as error:
        _LOG.error("%s", error)
        return _error(500, "InternalServerError", str(error))


_CODES = {401: "Unauthorized", 413: "LimitExceeded"}


def _error(status: int, code: str, message: str) -> Answer:
    headers = {"x-ms-error-code": code}
    if status == 401:
        headers["WWW-Authenticate"] = f'Bearer resource="{DIGITAL_TWINS}"'
    return Answer({"error": {"code": code, "message": message}}, status, headers)


def _to_response(answer: Answer) -> web.Response:
    if answer.status == 204:
        return web.Response(status=204, headers=answer.headers)
    return web.Response(
        status=answer.status,
        headers=answer.headers,
        text=json.dumps(answer.document, separators=(",", ":")),
        content_type="application/json",
    )
