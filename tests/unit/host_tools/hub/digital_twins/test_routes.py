"""Event routes: which are taken, and who gets an event."""

import pytest

from host_tools.hub.digital_twins.errors import GraphError
from host_tools.hub.digital_twins.events import TWIN_UPDATED, CloudEvent
from host_tools.hub.digital_twins.routes import MAX_ROUTES, Routes
from host_tools.hub.storage import Storage

GOOD = {"endpointName": "events", "filter": "true"}


@pytest.fixture
def told():
    return []


@pytest.fixture
def routes(told):
    return Routes(Storage(), ("events", "other"), lambda *what: told.append(what))


@pytest.mark.parametrize(
    ("route_id", "document", "code", "reason"),
    [
        ("", GOOD, "EventRouteIdInvalid", "1 to 128"),
        ("a/b", GOOD, "EventRouteIdInvalid", "1 to 128"),
        ("x" * 129, GOOD, "EventRouteIdInvalid", "1 to 128"),
        ("r", None, "InvalidArgument", "not a JSON object"),
        ("r", [GOOD], "InvalidArgument", "not a JSON object"),
        ("r", {"filter": "true"}, "InvalidArgument", "/endpointName"),
        ("r", {"endpointName": 3}, "InvalidArgument", "/endpointName"),
        ("r", {**GOOD, "filter": 3}, "InvalidArgument", "/filter"),
        ("r", {**GOOD, "filter": "="}, "EventRouteFilterInvalid", "At character 1:"),
        ("r", {"endpointName": "no"}, "EventRouteEndpointInvalid", "there is events, other"),
    ],
)
def test_a_route_is_refused_with_the_reason(routes, route_id, document, code, reason):
    with pytest.raises(GraphError) as caught:
        routes.put(route_id, document)
    assert caught.value.code == code
    assert reason in caught.value.message
    assert not routes.is_any


def test_so_many_and_no_more(routes):
    for number in range(MAX_ROUTES):
        routes.put(f"r{number}", GOOD)
    with pytest.raises(GraphError) as caught:
        routes.put("one-more", GOOD)
    assert caught.value.code == "LimitExceeded"
    routes.put("r0", {"endpointName": "other"})
    assert routes.get("r0").described() == {
        "id": "r0",
        "endpointName": "other",
        "filter": "true",
    }
    routes.delete("r0")
    for call in (routes.get, routes.delete):
        with pytest.raises(GraphError) as caught:
            call("r0")
        assert caught.value.http_status == 404
    assert len(routes.list()) == MAX_ROUTES - 1


def test_an_event_goes_once_to_each_endpoint_that_wants_it(routes, told):
    event = CloudEvent(TWIN_UPDATED, "room", "room", "hub.test", "", {"size": 3})
    routes.tell(event)
    assert told == []
    routes.put("a", {"endpointName": "events", "filter": "subject = 'room'"})
    routes.put("b", {"endpointName": "events", "filter": ""})
    routes.put("c", {"endpointName": "other", "filter": "$body.size > 3"})
    routes.tell(event)
    assert told == [("events", event)]
