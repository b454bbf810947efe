"""The door of Digital Twins: who may in, what is not there, and a disk that fails."""

import asyncio
import json

import pytest
from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import make_mocked_request
from doubles.hub_in_memory import make_hub

from host_tools.hub.endpoints import graph
from host_tools.hub.state.entra import DIGITAL_TWINS, IOT_HUB
from host_tools.hub.storage import StorageError


class Reply:
    def __init__(self, response):
        self.status, self.headers = response.status, response.headers
        self.json = json.loads(response.text) if response.text else None


async def ask(hub, verb, target, body, headers):
    app = web.Application()
    graph.add_digital_twins(app, hub)
    content = StreamReader(BaseProtocol(asyncio.get_running_loop()), 2**16)
    content.feed_data(body)
    content.feed_eof()
    request = make_mocked_request(verb, target, headers, app=app, payload=content)
    return Reply(await app.middlewares[0](request, pass_on))


async def pass_on(request):
    return web.Response(status=299)


def call(hub, verb, path, body=b"", audience=DIGITAL_TWINS, version="2023-10-31"):
    bearer = {"Authorization": f"Bearer {hub.entra.issue(audience).text}"} if audience else {}
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return asyncio.run(ask(hub, verb, f"{path}?api-version={version}", body, bearer))


def error(reply):
    code = reply.json["error"]["code"]
    assert reply.headers["x-ms-error-code"] == code
    assert reply.json["error"]["message"]
    return reply.status, code


@pytest.mark.parametrize("audience", [None, IOT_HUB])
def test_who_may_not_in_is_told_which_token_is_wanted(audience):
    reply = call(make_hub(), "GET", "/models", audience=audience)
    assert error(reply) == (401, "Unauthorized")
    assert reply.headers["www-authenticate"] == f'Bearer resource="{DIGITAL_TWINS}"'


@pytest.mark.parametrize(
    ("verb", "target", "body", "told"),
    [
        ("GET", "/nothing", b"", (404, "NotFound")),
        ("PATCH", "/query", b"", (405, "MethodNotAllowed")),
        ("GET", "/digitaltwins/none", b"", (404, "DigitalTwinNotFound")),
        ("POST", "/query", b"{", (400, "InvalidArgument")),
        ("POST", "/query", {"query": "x"}, (400, "SqlQueryError")),
    ],
)
def test_what_is_refused(verb, target, body, told):
    assert error(call(make_hub(), verb, target, body)) == told


def test_a_body_that_is_too_long(monkeypatch):
    monkeypatch.setattr(graph, "MAX_BODY_BYTES", 100)
    assert error(call(make_hub(), "POST", "/models", b" " * 101)) == (413, "LimitExceeded")


def test_a_list_and_what_has_no_body():
    hub = make_hub()
    listed = call(hub, "GET", "/models")
    assert (listed.status, listed.json) == (200, {"value": [], "nextLink": None})
    route = {"endpointName": "events", "filter": "true"}
    put = call(hub, "PUT", "/eventroutes/r", route)
    assert (put.status, put.json) == (204, None)


def test_calls_of_another_version_are_not_of_this_door():
    assert call(make_hub(), "GET", "/models", version="2021-04-12").status == 299


def test_what_could_not_be_stored_is_not_answered_as_done(monkeypatch, caplog):
    hub = make_hub()

    async def fail():
        raise StorageError("no space left")

    monkeypatch.setattr(hub, "flush", fail)
    assert error(call(hub, "GET", "/models")) == (500, "InternalServerError")
    assert "no space left" in caplog.text
