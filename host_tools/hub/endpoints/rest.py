"""The HTTPS door for service clients: routes, authorization, errors.

Paths are split before they are decoded, for ids may hold an encoded slash; a slash at the end is
tolerated. What a client does wrong ends in 4xx, whatever it sends: clients retry 5xx for seconds.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote_to_bytes

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from host_tools.hub.endpoints import (
    rest_configurations,
    rest_devices,
    rest_feedback,
    rest_jobs,
    rest_modules,
    rest_query,
    rest_twins,
)
from host_tools.hub.endpoints.rest_call import Answer, Call, Operation
from host_tools.hub.endpoints.rest_errors import error_answer
from host_tools.hub.state.errors import HubError, malformed, too_large, unauthorized
from host_tools.hub.state.hub import Hub
from host_tools.hub.state.limits import METHOD, QUERY, REGISTRY, TWIN_READ, TWIN_UPDATE
from host_tools.hub.state.policies import REGISTRY_READ, REGISTRY_WRITE, SERVICE_CONNECT
from host_tools.hub.storage import StorageError

MAX_BODY_BYTES = 1024 * 1024  # bulk operations of 100 identities fit; twins and methods need less

_LOG = logging.getLogger(__name__)


class Route(NamedTuple):
    """`path` with `*` for names; `newer` chooses the shape of its errors."""

    verb: str
    path: tuple[str, ...]
    permission: str
    operation: Operation
    newer: bool = False


def _route(text: str, permission: str, operation: Operation, newer: bool = False) -> Route:
    verb, path = text.split()
    return Route(verb, tuple(path.split("/")[1:]), permission, operation, newer)


ROUTES = (
    _route("GET /devices", REGISTRY_READ, rest_devices.list_devices),
    _route("POST /devices", REGISTRY_WRITE, rest_devices.update_devices),
    _route("POST /devices/query", REGISTRY_READ, rest_query.query_devices),
    _route("GET /devices/*", REGISTRY_READ, rest_devices.get_device),
    _route("PUT /devices/*", REGISTRY_WRITE, rest_devices.put_device),
    _route("DELETE /devices/*", REGISTRY_WRITE, rest_devices.delete_device),
    _route("DELETE /devices/*/commands", SERVICE_CONNECT, rest_devices.purge_commands),
    _route("GET /devices/*/modules", REGISTRY_READ, rest_modules.list_modules),
    _route("GET /devices/*/modules/*", REGISTRY_READ, rest_modules.get_module),
    _route("PUT /devices/*/modules/*", REGISTRY_WRITE, rest_modules.put_module),
    _route("DELETE /devices/*/modules/*", REGISTRY_WRITE, rest_modules.delete_module),
    _route("GET /configurations", REGISTRY_READ, rest_configurations.list_configurations),
    _route("POST /configurations/testQueries", REGISTRY_READ, rest_configurations.test_queries),
    _route("GET /configurations/*", REGISTRY_READ, rest_configurations.get_configuration),
    _route("PUT /configurations/*", REGISTRY_WRITE, rest_configurations.put_configuration),
    _route("DELETE /configurations/*", REGISTRY_WRITE, rest_configurations.delete_configuration),
    _route(
        "POST /devices/*/applyConfigurationContent",
        REGISTRY_WRITE,
        rest_configurations.apply_content,
    ),
    _route("GET /jobs/v2/query", SERVICE_CONNECT, rest_jobs.query_jobs),
    _route("GET /jobs/v2/*", SERVICE_CONNECT, rest_jobs.get_job),
    _route("PUT /jobs/v2/*", SERVICE_CONNECT, rest_jobs.create_job),
    _route("POST /jobs/v2/*/cancel", SERVICE_CONNECT, rest_jobs.cancel_job),
    _route("POST /jobs/create", REGISTRY_WRITE, rest_jobs.create_transfer),
    _route("GET /jobs", REGISTRY_WRITE, rest_jobs.list_transfers),
    _route("GET /jobs/*", REGISTRY_WRITE, rest_jobs.get_transfer),
    _route("DELETE /jobs/*", REGISTRY_WRITE, rest_jobs.cancel_transfer),
    _route("GET /statistics/devices", REGISTRY_READ, rest_devices.registry_statistics),
    _route("GET /statistics/service", REGISTRY_READ, rest_devices.service_statistics),
    _route("GET /messages/serviceBound/feedback", SERVICE_CONNECT, rest_feedback.receive_feedback),
    _route(
        "DELETE /messages/serviceBound/feedback/*",
        SERVICE_CONNECT,
        rest_feedback.complete_feedback,
    ),
    _route(
        "POST /messages/serviceBound/feedback/*/abandon",
        SERVICE_CONNECT,
        rest_feedback.abandon_feedback,
    ),
    _route("GET /twins/*", SERVICE_CONNECT, rest_twins.get_twin),
    _route("PATCH /twins/*", SERVICE_CONNECT, rest_twins.patch_twin),
    _route("PUT /twins/*", SERVICE_CONNECT, rest_twins.put_twin),
    _route("POST /twins/*/methods", SERVICE_CONNECT, rest_twins.invoke_method, True),
    _route("GET /twins/*/modules/*", SERVICE_CONNECT, rest_twins.get_twin),
    _route("PATCH /twins/*/modules/*", SERVICE_CONNECT, rest_twins.patch_twin),
    _route("PUT /twins/*/modules/*", SERVICE_CONNECT, rest_twins.put_twin),
    _route("POST /twins/*/modules/*/methods", SERVICE_CONNECT, rest_twins.invoke_method, True),
    _route("GET /digitaltwins/*", SERVICE_CONNECT, rest_twins.get_digital_twin),
    _route("PATCH /digitaltwins/*", SERVICE_CONNECT, rest_twins.patch_digital_twin),
    _route(
        "POST /digitaltwins/*/commands/*", SERVICE_CONNECT, rest_twins.invoke_root_command, True
    ),
    _route(
        "POST /digitaltwins/*/components/*/commands/*",
        SERVICE_CONNECT,
        rest_twins.invoke_component_command,
        True,
    ),
)

# Of which kind an operation is for the throttles of a tier
_LIMITED: dict[Operation, str] = {
    rest_devices.list_devices: REGISTRY,
    rest_devices.update_devices: REGISTRY,
    rest_devices.get_device: REGISTRY,
    rest_devices.put_device: REGISTRY,
    rest_devices.delete_device: REGISTRY,
    rest_modules.list_modules: REGISTRY,
    rest_modules.get_module: REGISTRY,
    rest_modules.put_module: REGISTRY,
    rest_modules.delete_module: REGISTRY,
    rest_query.query_devices: QUERY,
    rest_twins.get_twin: TWIN_READ,
    rest_twins.get_digital_twin: TWIN_READ,
    rest_twins.patch_twin: TWIN_UPDATE,
    rest_twins.put_twin: TWIN_UPDATE,
    rest_twins.patch_digital_twin: TWIN_UPDATE,
    rest_twins.invoke_method: METHOD,
    rest_twins.invoke_root_command: METHOD,
    rest_twins.invoke_component_command: METHOD,
}


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
        segments = split_path(path)
        route, names = find_route(request.method, segments)
        newer = route.newer
        _authorize(hub, request.headers, segments, route.permission)
        body = await _read(request)
        if (kind := _LIMITED.get(route.operation)) is not None:
            hub.limits.spend(kind, len(body))
        call = Call(names, dict(parse_qsl(query, keep_blank_values=True)), request.headers, body)
        return await route.operation(hub, call)
    except HubError as error:
        return error_answer(error, newer)
    except StorageError as error:
        _LOG.error("%s", error)
        return error_answer(HubError(500001, "ServerError", 500, str(error)), newer)


def split_path(raw_path: str) -> tuple[str, ...]:
    """The decoded segments of a raw path. Raises: HubError 400006."""
    # A proxy's form of the request line carries scheme and host.
    _, scheme, rest = raw_path.partition("://")
    if scheme and not raw_path.startswith("/"):
        raw_path = "/" + rest.partition("/")[2]
    return tuple(_decode(each) for each in raw_path.strip("/").split("/"))


def find_route(verb: str, segments: tuple[str, ...]) -> tuple[Route, tuple[str, ...]]:
    """Raises: HubError 404 (no such path), 405 (no such verb there)."""
    matching = [route for route in ROUTES if _matches(route.path, segments)]
    for route in matching:
        if route.verb == verb:
            names = tuple(n for n, part in zip(segments, route.path, strict=True) if part == "*")
            return route, names
    if matching:
        raise HubError(405000, "MethodNotAllowed", 405, f"{verb[:20]} is not possible here.")
    raise HubError(404000, "NotFound", 404, "There is no such resource on this hub.")


def _matches(path: tuple[str, ...], segments: tuple[str, ...]) -> bool:
    return len(path) == len(segments) and all(
        bool(name) if part == "*" else part.lower() == name.lower()
        for part, name in zip(path, segments, strict=True)
    )


def _decode(segment: str) -> str:
    for tail in segment.split("%")[1:]:
        if len(tail) < 2 or not all(digit in "0123456789abcdefABCDEF" for digit in tail[:2]):
            raise malformed("The path is not percent-encoded as it should be.")
    try:
        return unquote_to_bytes(segment).decode("utf-8")
    except ValueError:
        raise malformed("The path is not percent-encoded UTF-8.") from None


def _authorize(
    hub: Hub, headers: Mapping[str, str], segments: tuple[str, ...], permission: str
) -> None:
    token = headers.get("Authorization")
    if token is None:
        raise unauthorized("The request has no Authorization header.")
    hub.authorize(token, "/".join(segments), permission)


async def _read(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise too_large(f"The body is longer than {MAX_BODY_BYTES} bytes.") from None
    except (web.RequestPayloadError, HttpProcessingError, ConnectionError):
        # The last of these: the client left in the middle of it, and will not read this either
        raise malformed("The body is not what its headers say.") from None


def _to_response(answer: Answer) -> web.Response:
    if answer.status in (202, 204):
        return web.Response(status=answer.status, headers=answer.headers)
    return web.Response(
        status=answer.status,
        headers=answer.headers,
        text=json.dumps(answer.document, separators=(",", ":")),
        content_type="application/json",
    )
