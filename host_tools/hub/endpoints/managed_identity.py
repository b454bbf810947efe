"""The endpoint of a managed identity, as Azure App Service has it: clients get tokens here.

`azure.identity.DefaultAzureCredential` finds it by the environment variables IDENTITY_ENDPOINT
and IDENTITY_HEADER; the latter is what keeps others away. A client id that a user-assigned
identity would have is taken and ignored: there is one identity.
Source: Azure App Service, "How to use managed identities", REST endpoint reference (2019-08-01).
"""

from __future__ import annotations

import secrets

from aiohttp import web

from host_tools.hub.state.errors import HubError
from host_tools.hub.state.hub import Hub

PATH = "/msi/token"
_HEADER = "X-IDENTITY-HEADER"


def add_managed_identity(app: web.Application, hub: Hub) -> None:
    """Let `app` give tokens of `hub` to whoever knows its secret."""

    async def handle(request: web.Request) -> web.Response:
        shown = request.headers.get(_HEADER, "").encode("utf-8", "surrogateescape")
        if not secrets.compare_digest(shown, hub.entra.secret.encode("ascii")):
            return _refusal(401, f"{_HEADER} is not the one of this identity.")
        try:
            token = hub.entra.issue(request.query.get("resource", ""))
        except HubError as error:
            return _refusal(error.http_status, error.message)
        return web.json_response(
            {
                "access_token": token.text,
                "expires_on": str(token.expiry_s),
                "resource": token.audience,
                "token_type": "Bearer",
                "client_id": hub.entra.client_id,
            }
        )

    app.router.add_get(PATH, handle)


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"statusCode": status, "message": message}, status=status)
