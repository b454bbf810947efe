"""The door by raw HTTP: what SDKs never send, and what they must be able to rely on."""

import asyncio
import base64
import gzip
import json

import pytest
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import make_mocked_request
from doubles.hub_connection import FakeConnection
from doubles.hub_in_memory import make_hub
from doubles.rest_client import VERSION, ask, exchange, raw_request, token
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.hub.endpoints import rest_devices, rest_modules, rest_query
from host_tools.hub.endpoints.rest import MAX_BODY_BYTES
from host_tools.hub.endpoints.rest_routes import LIMITED, ROUTES
from host_tools.hub.http_request import read_body
from host_tools.hub.state import methods
from host_tools.hub.state.c2d import Message
from host_tools.hub.state.errors import HubError
from host_tools.hub.state.limits import QUERY, TELEMETRY
from host_tools.hub.wire.sas import build_token


def test_identities_by_hand():
    hub = make_hub()
    reply = ask(hub, "PUT", "/devices/d1" + VERSION, {"deviceId": "d1"})
    assert (reply.status, reply.reason) == (200, "OK")
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    assert reply.headers["etag"] == '"%s"' % reply.json["etag"]
    assert ask(hub, "GET", "/devices/d1/" + VERSION).json == reply.json
    listed = ask(hub, "GET", "/devices/?top=1&api-version=2021-04-12")
    assert [each["deviceId"] for each in listed.json] == ["d1"]
    conflict = ask(hub, "PUT", "/devices/d1" + VERSION, {})
    assert (conflict.status, conflict.reason) == (409, "Conflict")
    assert conflict.headers["iothub-errorcode"] == "DeviceAlreadyExists"
    update = {"status": "disabled"}
    for if_match in ("*", '"*"', '"%s"' % "stale"):
        reply = ask(hub, "PUT", "/devices/d1" + VERSION, update, {"If-Match": if_match})
        assert reply.status == (412 if "stale" in if_match else 200)
    assert reply.reason == "Precondition Failed"
    assert ask(hub, "DELETE", "/devices/d1" + VERSION, headers={"If-Match": "*"}).status == 204
    gone = ask(hub, "GET", "/devices/d1" + VERSION)
    assert (gone.status, gone.reason) == (404, "Not Found")
    assert gone.json["Message"] == "ErrorCode:DeviceNotFound;Device d1 is not registered."
    assert "Tracking ID:" in gone.json["ExceptionMessage"]


def test_ids_are_split_from_the_path_before_they_are_decoded():
    hub = make_hub("a%2Fb", "calf")
    assert ask(hub, "GET", "/devices/a%252Fb").json["deviceId"] == "a%2Fb"
    assert ask(hub, "GET", "/devices/a%2Fb").status == 404
    assert ask(hub, "GET", "/devices/%63a%6Cf").json["deviceId"] == "calf"
    for broken in ("/devices/%", "/devices/%2", "/devices/%zz", "/devices/%ff", "/%C3%28"):
        reply = ask(hub, "GET", broken)
        assert reply.status == 400
        assert reply.headers["iothub-errorcode"] == "IotHubFormatError"
    assert ask(hub, "PUT", "/devices/a%2Fb", {}).status == 400
    assert ask(hub, "GET", "http://hub.example.net/devices/calf").status == 200


def test_calls_as_azure_iot_explorer_makes_them():
    """The path encoded as a whole, every token for one place, ETags in other letters."""
    hub = make_hub("d1")
    key = base64.b64decode(hub.policies.get("iothubowner").primary_key)
    resource, expiry_s = "localhost/devices/query", int(hub.clock()) + 60
    shown = {"Authorization": build_token(resource, key, expiry_s, "iothubowner")}
    assert ask(hub, "GET", "/twins%2Fd1" + VERSION, headers=shown).json["deviceId"] == "d1"
    query = {"query": "SELECT * FROM devices"}
    assert len(ask(hub, "POST", "/devices%2Fquery" + VERSION, query, shown).json) == 1
    entry = {"etag": "*", "id": "d1", "importMode": "deleteIfMatchEtag"}
    assert ask(hub, "POST", "/devices" + VERSION, [entry], shown).status == 200
    assert ask(hub, "GET", "/devices%2Fd1" + VERSION, headers=shown).status == 404


def test_unknown_places_and_verbs():
    hub = make_hub("d1")
    for target in ("/", "/nothing", "/devices/d1/d2/d3", "/twins", "//", "/devices//commands"):
        assert ask(hub, "GET", target).status == 404, target
    reply = ask(hub, "POST", "/devices/d1", {})
    assert (reply.status, reply.reason) == (405, "Method Not Allowed")


def test_every_route_wants_its_permission():
    hub = make_hub("d1")
    needs = {
        "GET /devices": {"registryRead", "registryReadWrite"},
        "GET /devices/d1": {"registryRead", "registryReadWrite"},
        "PUT /devices/d1": {"registryReadWrite"},
        "DELETE /devices/d9": {"registryReadWrite"},
        "DELETE /devices/d1/commands": {"service"},
        "GET /configurations": {"registryRead", "registryReadWrite"},
        "POST /configurations/testQueries": {"registryRead", "registryReadWrite"},
        "GET /configurations/c": {"registryRead", "registryReadWrite"},
        "PUT /configurations/c": {"registryReadWrite"},
        "DELETE /configurations/c": {"registryReadWrite"},
        "POST /devices/d9/applyConfigurationContent": {"registryReadWrite"},
        "GET /jobs/v2/query": {"service"},
        "GET /jobs/v2/j": {"service"},
        "PUT /jobs/v2/j": {"service"},
        "POST /jobs/v2/j/cancel": {"service"},
        "POST /jobs/create": {"registryReadWrite"},
        "GET /jobs": {"registryReadWrite"},
        "GET /jobs/j": {"registryReadWrite"},
        "DELETE /jobs/j": {"registryReadWrite"},
        "GET /statistics/devices": {"registryRead", "registryReadWrite"},
        "GET /statistics/service": {"registryRead", "registryReadWrite"},
        "POST /devices/query": {"registryRead", "registryReadWrite"},
        "GET /twins/d1": {"service"},
        "PATCH /twins/d1": {"service"},
        "PUT /twins/d1": {"service"},
        "POST /twins/d1/methods": {"service"},
        "GET /digitaltwins/d1": {"service"},
        "PATCH /digitaltwins/d1": {"service"},
        "GET /devices/d1/modules": {"registryRead", "registryReadWrite"},
        "GET /devices/d1/modules/m": {"registryRead", "registryReadWrite"},
        "PUT /devices/d9/modules/m": {"registryReadWrite"},
        "DELETE /devices/d1/modules/m": {"registryReadWrite"},
        "GET /twins/d1/modules/m": {"service"},
        "PATCH /twins/d1/modules/m": {"service"},
        "PUT /twins/d1/modules/m": {"service"},
        "POST /twins/d1/modules/m/methods": {"service"},
        "POST /digitaltwins/d1/commands/c": {"service"},
        "POST /digitaltwins/d1/components/a/commands/c": {"service"},
    }
    policies = ("service", "device", "registryRead", "registryReadWrite", "iothubowner", None)
    for line, allowed in needs.items():
        requests = [raw_request(hub, *line.split(), b"5", policy=policy) for policy in policies]
        for policy, reply in zip(policies, asyncio.run(exchange(hub, requests)), strict=True):
            if policy == "iothubowner" or policy in allowed:
                assert reply.status in (200, 204, 400, 404), (line, policy)
            else:
                assert (reply.status, reply.reason) == (401, "Unauthorized"), (line, policy)
                assert reply.headers["iothub-errorcode"] == "IoTHubUnauthorized"


def test_tokens_that_do_not_hold_are_401():
    hub = make_hub("d1")
    device = build_token("hub.example.net/devices/d1", hub.registry.keys("d1")[0], 1 << 33)
    for authorization in (token(hub, ttl_s=-400), device, "Bearer x", "", "SharedAccessSignature"):
        reply = ask(hub, "GET", "/twins/d1", headers={"Authorization": authorization})
        assert reply.status == 401
    # Nothing about what exists is told to strangers.
    assert ask(hub, "GET", "/twins/unknown", policy=None).status == 401


def test_twins_by_hand():
    hub = make_hub("d1")
    patch = {"tags": {"a": 1}, "properties": {"desired": {"b": 2}}}
    reply = ask(hub, "PATCH", "/twins/d1" + VERSION, patch, {"If-Match": '"AAAAAAAAAAE="'})
    assert reply.status == 200
    assert reply.headers["etag"] == '"AAAAAAAAAAI="'
    assert reply.json["properties"]["desired"]["b"] == 2
    assert ask(hub, "PATCH", "/twins/d1", patch, {"If-Match": "AAAAAAAAAAE="}).status == 412
    replaced = ask(hub, "PUT", "/twins/d1", {"tags": {"c": 1}}).json
    assert replaced["tags"] == {"c": 1}
    assert "b" not in replaced["properties"]["desired"]


def test_the_devices_status_is_http_200():
    hub = make_hub("d1")
    methods = {"m": lambda payload: (418, payload), "c*m": lambda payload: (404, None)}

    def attach():
        hub.connections.attach("d1", FakeConnection(hub, "d1", methods))

    request = {"methodName": "m", "payload": [1], "responseTimeoutInSeconds": 5}
    reply = ask(hub, "POST", "/twins/d1/methods", request, before=attach)
    assert (reply.status, reply.json) == (200, {"status": 418, "payload": [1]})
    target = "/digitaltwins/d1/components/c/commands/m?responseTimeoutInSeconds=5"
    reply = ask(hub, "POST", target, before=attach)
    assert (reply.status, reply.body) == (200, b"null")
    assert reply.headers["x-ms-command-statuscode"] == "404"
    assert len(reply.headers["x-ms-request-id"]) == 36


def test_a_device_that_is_away_or_silent(monkeypatch):
    hub = make_hub("d1")
    away = ask(hub, "POST", "/twins/d1/methods", {"methodName": "m"})
    assert (away.status, away.reason) == (404, "Not Found")
    inner = json.loads(away.json["Message"])
    assert away.json["Message"].startswith('{"errorCode":404103,"trackingId":"')
    assert inner["errorCode"] == 404103
    assert inner["info"] == {"timeout": "00:00:00"}
    assert inner["timestampUtc"].endswith("Z")
    assert away.json["ExceptionMessage"] == ""

    def attach():
        hub.connections.attach("d1", FakeConnection(hub, "d1", {"m": None}))

    monkeypatch.setattr(methods, "MIN_RESPONSE_TIMEOUT_S", 0)
    request = {"methodName": "m", "responseTimeoutInSeconds": 0}
    silent = ask(hub, "POST", "/twins/d1/methods", request, before=attach)
    assert (silent.status, silent.reason) == (504, "Gateway Timeout")
    assert json.loads(silent.json["Message"])["errorCode"] == 504101


def test_bad_method_arguments():
    hub = make_hub("d1")
    for body in (
        b"",
        b"{",
        [],
        {},
        {"methodName": 5},
        {"methodName": ""},
        {"methodName": "m", "responseTimeoutInSeconds": 4},
        {"methodName": "m", "responseTimeoutInSeconds": "30"},
        {"methodName": "m", "responseTimeoutInSeconds": True},
        {"methodName": "m", "responseTimeoutInSeconds": 30.5},
        {"methodName": "m", "connectTimeoutInSeconds": -1},
    ):
        assert ask(hub, "POST", "/twins/d1/methods", body).status == 400, body
    for query in ("responseTimeoutInSeconds=x", "connectTimeoutInSeconds=301", "top=x"):
        assert ask(hub, "POST", "/digitaltwins/d1/commands/m?" + query, b"{}").status in (400, 404)
    assert ask(hub, "GET", "/devices?top=x").status == 400
    assert ask(hub, "GET", "/devices?top=1001").status == 400
    # An unknown device is told first, whatever the arguments are.
    assert ask(hub, "POST", "/twins/unknown/methods", b"{").status == 404


def test_digital_twins_by_hand():
    hub = make_hub("d1")
    patch = [{"op": "add", "path": "/thermostat1/targetTemperature", "value": 42}]
    reply = ask(hub, "PATCH", "/digitaltwins/d1" + VERSION, patch)
    assert (reply.status, reply.reason, reply.body) == (202, "Accepted", b"")
    assert reply.headers["location"] == "/digitaltwins/d1"
    document = ask(hub, "GET", "/digitaltwins/d1" + VERSION)
    assert document.headers["etag"] == reply.headers["etag"] == '"AAAAAAAAAAI="'
    assert document.json["$metadata"] == {"$model": ""}
    stale = ask(hub, "PATCH", "/digitaltwins/d1", patch, {"If-Match": '"AAAAAAAAAAE="'})
    assert stale.status == 412
    wrong = ask(hub, "PATCH", "/digitaltwins/d1", {"op": "add"})
    assert wrong.headers["iothub-errorcode"] == "InvalidDigitalTwinJsonPatch"


def test_pages_of_a_query():
    hub = make_hub("a", "b", "c")
    query = {"query": " select *  from devices "}
    first = ask(hub, "POST", "/devices/query", query, {"x-ms-max-item-count": "2"})
    assert [twin["deviceId"] for twin in first.json] == ["a", "b"]
    assert first.headers["x-ms-item-type"] == "Twin"
    more = {"x-ms-max-item-count": "2", "x-ms-continuation": first.headers["x-ms-continuation"]}
    last = ask(hub, "POST", "/devices/query", query, more)
    assert [twin["deviceId"] for twin in last.json] == ["c"]
    assert "x-ms-continuation" not in last.headers
    for body, headers in (
        ({"query": "SELECT * FROM devices WHERE a ="}, {}),
        ({"query": 5}, {}),
        ([], {}),
        (query, {"x-ms-continuation": "!"}),
        (query, {"x-ms-continuation": "eA=="}),
        (query, {"x-ms-max-item-count": "0"}),
        (query, {"x-ms-max-item-count": "many"}),
    ):
        reply = ask(hub, "POST", "/devices/query", body, headers)
        assert (reply.status, reply.reason) == (400, "Bad Request")


_SIZE = "x-ms-max-item-count"


def test_pages_of_jobs():
    hub = make_hub("a", "b", "c")
    job = {"type": "scheduleUpdateTwin", "queryCondition": "*", "updateTwin": {"tags": {"x": 1}}}
    assert ask(hub, "PUT", "/jobs/v2/j1", job).status == 200
    for text, expected in (
        ("SELECT * FROM devices.jobs", [["a", "b"], ["c"]]),
        ("SELECT TOP 2 * FROM devices.jobs WHERE devices.jobs.jobId = 'j1'", [["a", "b"]]),
        ("SELECT TOP 1 * FROM devices.jobs", [["a"]]),
        ("SELECT * FROM devices.jobs WHERE devices.jobs.deviceId > 'a'", [["b", "c"]]),
    ):
        pages, more = [], {}
        while more is not None:
            headers = {"x-ms-max-item-count": "2", **more}
            reply = ask(hub, "POST", "/devices/query", {"query": text}, headers)
            assert reply.headers["x-ms-item-type"] == "DeviceJob"
            assert all("devices" not in row for row in reply.json)
            pages.append([row["deviceId"] for row in reply.json])
            token = reply.headers.get("x-ms-continuation")
            more = {"x-ms-continuation": token} if token else None
        assert pages == expected, text


def _all_pages(hub, text, size):
    headers, items, pages = {"x-ms-max-item-count": str(size)}, [], 0
    while True:
        page = ask(hub, "POST", "/devices/query", {"query": text}, headers)
        assert page.status == 200
        assert len(page.json) <= size
        items, pages = items + page.json, pages + 1
        token = page.headers.get("x-ms-continuation")
        if token is None:
            return items, pages, page.headers["x-ms-item-type"]
        headers = {**headers, "x-ms-continuation": token}


def test_pages_with_conditions_limits_and_columns():
    hub = make_hub(*"abcdefg")
    for device_id in "bdfg":
        ask(hub, "PATCH", f"/twins/{device_id}", {"tags": {"side": "left", "no": ord(device_id)}})
    left = "FROM devices WHERE tags.side = 'left'"
    items, pages, kind = _all_pages(hub, f"SELECT * {left}", 3)
    assert ([item["deviceId"] for item in items], pages, kind) == (list("bdfg"), 2, "Twin")
    # A whole page, and nothing behind it
    assert _all_pages(hub, f"SELECT * {left}", 4)[1] == 1
    items, pages, kind = _all_pages(hub, f"SELECT TOP 3 * {left}", 2)
    assert ([item["deviceId"] for item in items], pages) == (list("bdf"), 2)
    assert _all_pages(hub, f"SELECT TOP 0 * {left}", 2)[0] == []
    items, pages, kind = _all_pages(hub, f"SELECT TOP 3 deviceId AS d {left}", 2)
    assert (items, pages, kind) == ([{"d": "b"}, {"d": "d"}, {"d": "f"}], 2, "Raw")
    items, pages, kind = _all_pages(hub, "SELECT connectionState, COUNT() AS n FROM devices", 2)
    assert items == [{"connectionState": "Disconnected", "n": 7}]
    # A page goes on after its last device, although that one is gone by now
    first = ask(hub, "POST", "/devices/query", {"query": f"SELECT * {left}"}, {_SIZE: "2"})
    hub.registry.delete("d")
    headers = {_SIZE: "2", "x-ms-continuation": first.headers["x-ms-continuation"]}
    rest = ask(hub, "POST", "/devices/query", {"query": f"SELECT * {left}"}, headers)
    assert [item["deviceId"] for item in rest.json] == ["f", "g"]


def test_feedback_by_hand():
    hub = make_hub("d1")
    address = "/messages/serviceBound/feedback"
    assert ask(hub, "GET", address).status == 204
    hub.c2d.send("d1", Message(b"x", message_id="m1", ack="full"))
    hub.c2d.purge("d1")
    hub.clock.now_s += 15
    for verb, path in (("POST", "/abandon"), ("DELETE", "")):
        found = ask(hub, "GET", address + VERSION)
        assert found.json[0]["statusCode"] == "Purged"
        lock = found.headers["etag"].strip('"')
        assert ask(hub, verb, f"{address}/{lock}{path}").status == 204
        assert ask(hub, verb, f"{address}/{lock}{path}").status == 412
    assert ask(hub, "GET", address).status == 204


def test_a_tier_throttles_and_ends_with_its_quota():
    hub = make_hub("dev1")
    hub.limits.choose("F1")
    query = ("POST", f"/devices/query{VERSION}", {"query": "SELECT * FROM devices"})
    for _ in range(20):
        hub.limits.spend(QUERY)
    refused = ask(hub, *query)
    assert (refused.status, refused.reason) == (429, "Too Many Requests")
    assert refused.headers["iothub-errorcode"] == "ThrottlingException"
    assert ask(hub, "GET", f"/twins/dev1{VERSION}").status == 200
    hub.clock.now_s += 3
    assert ask(hub, *query).status == 200
    hub.limits.spend(TELEMETRY, 512 * (8000 - hub.limits.used_today))
    spent = ask(hub, "GET", f"/twins/dev1{VERSION}")
    assert (spent.status, spent.headers["iothub-errorcode"]) == (403, "IoTHubQuotaExceeded")
    # The registry is no message
    assert ask(hub, "GET", f"/devices/dev1{VERSION}").status == 200


def test_every_operation_of_a_throttled_kind_counts():
    limited = {route.operation for route in ROUTES if route.path[0] in ("twins", "digitaltwins")}
    limited |= {rest_query.query_devices, rest_devices.put_device, rest_modules.put_module}
    assert limited <= set(LIMITED)
    assert set(LIMITED) <= {route.operation for route in ROUTES}


def test_bodies_that_lie_about_themselves():
    hub = make_hub("d1")
    large = ask(hub, "PATCH", "/twins/d1", b" " * (MAX_BODY_BYTES + 1))
    assert (large.status, large.headers["iothub-errorcode"]) == (413, "MessageTooLarge")
    unzipped = ask(hub, "PATCH", "/twins/d1", b"not gzip", {"Content-Encoding": "gzip"})
    assert unzipped.status == 400
    bomb = gzip.compress(b" " * (64 * MAX_BODY_BYTES))
    assert ask(hub, "PATCH", "/twins/d1", bomb, {"Content-Encoding": "gzip"}).status in (400, 413)
    chunked = {"Transfer-Encoding": "chunked", "Content-Length": None}
    assert ask(hub, "PATCH", "/twins/d1", b"zz\r\n{}\r\n0\r\n\r\n", chunked).status == 400
    assert ask(hub, "PATCH", "/twins/d1", b"[" * 500_000).status == 400
    assert ask(hub, "PATCH", "/twins/d1", b'{"tags": {"a": "\xff"}}').status == 400


def test_a_broken_disk_is_our_fault_and_says_so():
    from host_tools.hub.storage import StorageError

    hub = make_hub("d1")

    def fail(changes):
        raise StorageError("the disk is full")

    hub.storage.write = fail
    reply = ask(hub, "PATCH", "/twins/d1", {"tags": {"a": 1}})
    assert reply.status == 500
    assert "disk is full" in reply.json["Message"]
    assert hub.twins.get("d1")["tags"] == {}


_WORDS = st.sampled_from(
    ["devices", "twins", "digitaltwins", "methods", "commands", "components", "query", "d1"]
    + ["statistics", "service", "%2F", "%", "%ff", "..", ".", "", "$metadata", "d1%00", "\u00e9"]
)
_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(
        ["enabled", "sas", "selfSigned", "add", "/a", "/a/b", "SELECT * FROM devices"]
    ),
)
_FIELDS = st.sampled_from(
    ["deviceId", "status", "authentication", "type", "symmetricKey", "primaryKey", "tags"]
    + ["properties", "desired", "$version", "$metadata", "methodName", "payload", "query"]
    + ["responseTimeoutInSeconds", "op", "path", "value", "a.b"]
    + ["x509Thumbprint", "primaryThumbprint", "capabilities", "iotEdge", "parentScopes"]
)
_DOCUMENTS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(_FIELDS, inner, max_size=4)
    ),
    max_leaves=10,
)
_BODIES = st.one_of(_DOCUMENTS, st.binary(max_size=30))
_VALUES = st.one_of(
    st.sampled_from(["*", '"*"', "", "W/", "0", "5", "9999999999", "AAAA", "gzip", "x-unknown"]),
    st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=8),
)
_HEADERS = st.dictionaries(
    st.sampled_from(["If-Match", "x-ms-max-item-count", "x-ms-continuation", "Content-Type"]),
    _VALUES,
    max_size=3,
)
_REQUESTS = st.tuples(
    st.sampled_from(["GET", "PUT", "PATCH", "POST", "DELETE", "HEAD", "OPTIONS", "BREW"]),
    st.lists(_WORDS, max_size=6),
    st.sampled_from(["", "?", VERSION, "?top=1&top=x", "?top=%zz", "?=&;&", "?top=\u00b2"]),
    _BODIES,
    _HEADERS,
)


@settings(max_examples=80)
@given(st.lists(_REQUESTS, min_size=1, max_size=12))
def test_no_request_is_the_hubs_fault(requests):
    hub = make_hub("d1")
    raw = [
        raw_request(hub, verb, "/" + "/".join(words) + query, body, headers)
        for verb, words, query, body, headers in requests
    ]
    for request, reply in zip(raw, asyncio.run(exchange(hub, raw)), strict=True):
        assert 200 <= reply.status < 500, request


@settings(max_examples=80)
@given(
    st.lists(st.tuples(st.sampled_from(ROUTES), _BODIES, _HEADERS), min_size=1, max_size=12),
    st.sampled_from(["deviceId", "tags", "authentication", "properties", "methodName"]),
)
def test_no_document_is_the_hubs_fault(requests, field):
    hub = make_hub("d1")
    raw = []
    for route, body, headers in requests:
        target = "/" + "/".join("d1" if part == "*" else part for part in route.path)
        raw.append(raw_request(hub, route.verb, target, body, headers))
        if not isinstance(body, bytes):
            raw.append(raw_request(hub, route.verb, target, {field: body}, {"If-Match": "*"}))
            raw.append(raw_request(hub, route.verb, target, [body], headers))
    for request, reply in zip(raw, asyncio.run(exchange(hub, raw)), strict=True):
        assert 200 <= reply.status < 500, request


def test_a_client_that_left_before_its_body_was_read_is_no_fault_of_the_hub():
    async def run():
        protocol = BaseProtocol(asyncio.get_running_loop())  # was never connected
        body = StreamReader(protocol, 2**16, loop=asyncio.get_running_loop())
        request = make_mocked_request("PATCH", "/twins/dev1", payload=body)
        request._protocol.transport = None
        with pytest.raises(HubError) as refused:
            await read_body(request, MAX_BODY_BYTES)
        assert refused.value.http_status == 400

    asyncio.run(run())
