"""The HTTPS door, for service clients above all: authorization, bodies, errors.

Paths are split before they are decoded, for ids may hold an encoded slash, unless nothing is there
to be split; a slash at the end is tolerated. What a client does wrong ends in 4xx, whatever it
sends: clients retry 5xx for seconds.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from urllib.parse import parse_qsl

from aiohttp import web

from host_tools.hub.endpoints.rest_call import Answer, Call
from host_tools.hub.endpoints.rest_errors import error_answer
from host_tools.hub.endpoints.rest_routes import LIMITED, find_route
from host_tools.hub.http_request import read_body, split_path
from host_tools.hub.state.errors import HubError, unauthorized
from host_tools.hub.state.hub import Hub
from host_tools.hub.state.policies import DEVICE_CONNECT, Grant
from host_tools.hub.storage import StorageError

MAX_BODY_BYTES = 1024 * 1024  # bulk operations of 100 identities fit; twins and methods need less

_LOG = logging.getLogger(__name__)


def rest_app(hub: Hub) -> web.Application:
    """An application that answers the service's REST interface from `hub`.

    It takes every path; routes added to it later with a fixed path (WebSockets) come first.
    """

    async def handle(request: web.Request) -> web.Response:
        return _to_response(await _answer(hub, request))

    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_route("*", "/{path:.*}", handle)
    return app


async def _answer(hub: Hub, request: web.Request) -> Answer:
    newer = False
    try:
        path, _, query = request.raw_path.partition("?")
        segments = _segments(path)
        route, names = find_route(request.method, segments)
        newer = route.newer
        grant = _authorize(hub, request.headers, segments, route.permission)
        body = await read_body(request, MAX_BODY_BYTES)
        if (kind := LIMITED.get(route.operation)) is not None:
            hub.limits.spend(kind, len(body))
        asked = dict(parse_qsl(query, keep_blank_values=True))
        call = Call(names, asked, request.headers, body, grant)
        return await route.operation(hub, call)
    except HubError as error:
        return error_answer(error, newer)
    except StorageError as error:
        _LOG.error("%s", error)
        return error_answer(HubError(500001, "ServerError", 500, str(error)), newer)


def _segments(raw_path: str) -> tuple[str, ...]:
    """Raises: HubError 400006."""
    segments = split_path(raw_path)
    if len(segments) == 1:
        # Azure IoT Explorer encodes a whole path, its slashes too: `/twins%2Fd1`
        return tuple(segments[0].strip("/").split("/"))
    return segments


def _authorize(
    hub: Hub, headers: Mapping[str, str], segments: tuple[str, ...], permission: str
) -> Grant:
    token = headers.get("Authorization")
    if token is None:
        raise unauthorized("The request has no Authorization header.")
    if permission == DEVICE_CONNECT:
        return hub.policies.authenticate_device(segments[1], token)
    return hub.authorize(token, permission)


def _to_response(answer: Answer) -> web.Response:
    if answer.body is not None:
        return web.Response(status=answer.status, headers=answer.headers, body=answer.body)
    if answer.status in (202, 204):
        return web.Response(status=answer.status, headers=answer.headers)
    return web.Response(
        status=answer.status,
        headers=answer.headers,
        text=json.dumps(answer.document, separators=(",", ":")),
        content_type="application/json",
    )
