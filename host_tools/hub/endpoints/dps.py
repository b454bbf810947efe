"""The HTTPS side of the provisioning service for devices, behind the hub's own HTTPS port.

It is told from the hub's by its path: an id scope, which begins with 0 as nothing of the hub's
does, then `registrations`. A device shows a token or a certificate with each request; what becomes
of it is the same as over MQTT.

Sources: DPS device REST API 2021-10-01 ("Register Device", "Operation Status Lookup", "Device
Registration Status Lookup"); iot-dps-https-sym-key-support and iot-dps-https-x509-support;
how-to-troubleshoot-dps (which status a fault has).
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from urllib.parse import parse_qsl

from aiohttp import web
from cryptography import x509

from host_tools.hub.client_tls import client_certificate
from host_tools.hub.http_request import read_body, split_path
from host_tools.hub.provisioning.documents import MAX_BODY_BYTES, check_body, problem
from host_tools.hub.provisioning.registrations import Credentials, Registrations
from host_tools.hub.state.documents import JsonObject
from host_tools.hub.state.errors import HubError, argument_invalid
from host_tools.hub.state.hub import Hub
from host_tools.hub.storage import StorageError

_OWN_PATH = re.compile(r"/+0[^/]*/registrations(/.*)?", re.IGNORECASE | re.DOTALL)
_REGISTER = "register"

_LOG = logging.getLogger(__name__)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Route(NamedTuple):
    """`rest` is what follows the registration id, with `*` for a name."""

    verb: str
    rest: tuple[str, ...]
    status: int
    operation: Callable[[Registrations, Credentials, str], JsonObject]


_ROUTES = (
    _Route("PUT", (_REGISTER,), 202, lambda found, shown, _: found.register(shown)),
    _Route("GET", ("operations", "*"), 200, Registrations.result),
    _Route("POST", (), 200, lambda found, shown, _: found.look_up(shown)),
)


def add_provisioning(app: web.Application, hub: Hub) -> None:
    """Answer devices that come to be provisioned in `app`, before its own routes are asked."""

    @web.middleware
    async def handle(request: web.Request, handler: _Handler) -> web.StreamResponse:
        if _OWN_PATH.fullmatch(request.rel_url.raw_path) is None:
            return await handler(request)
        return await _answer(hub, request.clone(client_max_size=MAX_BODY_BYTES))

    app.middlewares.append(handle)


async def _answer(hub: Hub, request: web.Request) -> web.Response:
    try:
        return await _operate(hub.provisioning, request)
    except HubError as error:
        return _refusal(hub, error)
    except StorageError as error:
        _LOG.error("%s", error)
        return _refusal(hub, HubError(500001, "ServerError", 500, str(error)))


async def _operate(registrations: Registrations, request: web.Request) -> web.Response:
    """Raises: HubError, StorageError."""
    path, _, query = request.raw_path.partition("?")
    scope, registration_id, rest = _parse_path(path)
    if scope.lower() != registrations.scope.lower():
        raise _not_found("There is no service of this id scope here.")
    route = _find_route(request.method, rest)
    if not dict(parse_qsl(query)).get("api-version"):
        raise argument_invalid("The request has no api-version.")
    token = request.headers.get("Authorization", "")
    shown = registrations.admit(registration_id, token, _certificate(request))
    check_body(await read_body(request, MAX_BODY_BYTES), registration_id)
    document = route.operation(registrations, shown, rest[-1] if rest else "")
    headers = {}
    if route.status == 202:
        location = f"/{registrations.scope}/registrations/{registration_id}/{_REGISTER}"
        headers = {"Location": location, "Retry-After": str(registrations.retry_after_s)}
    return _response(route.status, document, headers)


def _parse_path(raw_path: str) -> tuple[str, str, tuple[str, ...]]:
    """Id scope, registration id, and what follows. Raises: HubError 400006, 404000."""
    segments = split_path(raw_path)
    if len(segments) < 3:
        raise _not_found("The path names no registration.")
    return segments[0], segments[2], segments[3:]


def _find_route(verb: str, rest: tuple[str, ...]) -> _Route:
    """Raises: HubError 404000 (no such path), 405000 (no such verb there)."""
    kind = tuple(map(str.lower, rest[:1]))
    for route in _ROUTES:
        if len(route.rest) == len(rest) and route.rest[:1] == kind:
            if route.verb == verb:
                return route
            raise HubError(405000, "MethodNotAllowed", 405, f"{verb[:20]} is not possible here.")
    raise _not_found("There is no such resource of this service.")


def _not_found(message: str) -> HubError:
    return HubError(404000, "NotFound", 404, message)


def _certificate(request: web.Request) -> x509.Certificate | None:
    # Without a transport the client has left already
    return None if request.transport is None else client_certificate(request.transport)


def _refusal(hub: Hub, error: HubError) -> web.Response:
    headers = {"x-ms-error-code": str(error.code)}
    if error.http_status == 429:
        headers["Retry-After"] = str(hub.provisioning.retry_after_s)
    return _response(error.http_status, problem(error, hub.clock()), headers)


def _response(status: int, document: JsonObject, headers: dict[str, str]) -> web.Response:
    return web.Response(
        status=status,
        headers=headers,
        text=json.dumps(document, separators=(",", ":")),
        content_type="application/json",
    )
