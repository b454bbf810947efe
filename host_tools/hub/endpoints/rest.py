"""The HTTPS door for service clients."""

from __future__ import annotations

from aiohttp import web

from host_tools.hub.state.hub import Hub


def rest_app(hub: Hub) -> web.Application:
    """An application that answers the service's REST interface from `hub`."""
    app = web.Application()
    return app
