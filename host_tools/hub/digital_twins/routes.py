"""Event routes: which of the graph's events go to which endpoint.

Endpoints are made by Azure's resource manager; here the hub names those it has.
Source: Azure Digital Twins, "Create endpoints", "Create event routes and filters"; "Service
limits".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from host_tools.hub.digital_twins.errors import GraphError, invalid_argument, limit_exceeded
from host_tools.hub.digital_twins.events import CloudEvent
from host_tools.hub.digital_twins.language import parse_filter
from host_tools.hub.query.expressions import Expression
from host_tools.hub.state.documents import Json, JsonObject
from host_tools.hub.state.store import Change, Store

MAX_ROUTES = 6
_KIND = "graph.route"
_ID = re.compile(r"[A-Za-z0-9_\-.]{1,128}")

Deliver = Callable[[str, CloudEvent], None]


@dataclass(frozen=True)
class Route:
    id: str
    endpoint: str
    filter: str
    condition: Expression

    def described(self) -> JsonObject:
        return {"id": self.id, "endpointName": self.endpoint, "filter": self.filter}


class Routes:
    """`endpoints`: names of those that there are; `deliver` takes one of them and an event."""

    def __init__(self, store: Store, endpoints: Collection[str], deliver: Deliver) -> None:
        self._store = store
        self._endpoints = endpoints
        self._deliver = deliver
        self._routes: dict[str, Route] = {}
        for route_id, document in store.load(_KIND):
            self._routes[route_id] = _parse(route_id, document)

    def put(self, route_id: str, document: Json) -> None:
        """Raises: GraphError EventRouteIdInvalid, EventRouteEndpointInvalid,
        EventRouteFilterInvalid, LimitExceeded, InvalidArgument."""
        if _ID.fullmatch(route_id) is None:
            raise GraphError(
                "EventRouteIdInvalid", "The id is not 1 to 128 letters, digits, '-', '_' and '.'."
            )
        route = _parse(route_id, document)
        if route.endpoint not in self._endpoints:
            raise GraphError(
                "EventRouteEndpointInvalid",
                f"There is no endpoint {route.endpoint[:80]!r}; there is "
                f"{', '.join(sorted(self._endpoints))}.",
            )
        if route_id not in self._routes and len(self._routes) >= MAX_ROUTES:
            raise limit_exceeded(f"There are {MAX_ROUTES} event routes already.")
        self._store.write([Change(_KIND, route_id, route.described())])
        self._routes[route_id] = route

    def get(self, route_id: str) -> Route:
        """Raises: GraphError EventRouteNotFound."""
        try:
            return self._routes[route_id]
        except KeyError:
            raise GraphError(
                "EventRouteNotFound", f"There is no event route {route_id}."
            ) from None

    def list(self) -> list[Route]:
        return list(self._routes.values())

    def delete(self, route_id: str) -> None:
        """Raises: GraphError EventRouteNotFound."""
        self.get(route_id)
        self._store.write([Change(_KIND, route_id, None)])
        del self._routes[route_id]

    @property
    def is_any(self) -> bool:
        """Whether anybody wants events at all."""
        return bool(self._routes)

    def tell(self, event: CloudEvent) -> None:
        """Send `event` once to each endpoint that a route with a fitting filter leads to."""
        seen = event.as_filtered()
        matching = (each for each in self._routes.values() if each.condition(seen) is True)
        for endpoint in dict.fromkeys(route.endpoint for route in matching):
            self._deliver(endpoint, event)


def _parse(route_id: str, document: Json) -> Route:
    if not isinstance(document, dict):
        raise invalid_argument("The body is not a JSON object.")
    endpoint, text = document.get("endpointName"), document.get("filter")
    if not isinstance(endpoint, str):
        raise invalid_argument("/endpointName: it is missing, or not a text.")
    text = "true" if text in (None, "") else text
    if not isinstance(text, str):
        raise invalid_argument("/filter: it is not a text.")
    return Route(route_id, endpoint, text, parse_filter(text))
