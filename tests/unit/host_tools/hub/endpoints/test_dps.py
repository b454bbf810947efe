"""Devices that come to be provisioned over HTTPS, by hand: who may, what is answered, what not."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
from urllib.parse import quote_plus

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from cryptography import x509
from doubles.device_certificates import certificate, new_key
from doubles.hub_in_memory import make_hub
from doubles.rest_client import ask
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.hub.endpoints import dps
from host_tools.hub.provisioning.attestation import derived_key
from host_tools.hub.provisioning.documents import MAX_BODY_BYTES
from host_tools.hub.storage import StorageError
from host_tools.hub.wire.sas import build_token

KEY, OTHER = b"k" * 32, b"o" * 32
VERSION = "?api-version=2021-06-01"


def enrollment(key=KEY, **more):
    keys = dict.fromkeys(("primaryKey", "secondaryKey"), base64.b64encode(key).decode())
    return {"attestation": {"type": "symmetricKey", "symmetricKey": keys}, **more}


class Place:
    """A hub with an enrolment of the device `stove`."""

    def __init__(self, **more):
        self.hub = make_hub()
        self.dps = self.hub.provisioning
        self.dps.individual.put("stove", enrollment(**more), None)

    def token(self, name="stove", key=KEY, life_s=600, policy="registration", scope=None):
        resource = f"{scope or self.dps.scope}/registrations/{name}"
        return build_token(resource, key, int(self.hub.clock() + life_s), policy)

    def ask(self, verb, rest, body=b"", token=None, name="stove", scope=None, version=VERSION):
        """`token` "": none."""
        target = f"/{scope or self.dps.scope}/registrations/{name}{rest}{version}"
        shown = self.token() if token is None else token or None
        return ask(self.hub, verb, target, body, {"Authorization": shown})

    def register(self, **options):
        return self.ask("PUT", "/register", b'{"registrationId": "stove"}', **options)


@pytest.fixture
def place():
    return Place()


def code_of(reply):
    """Its status and code; the rest of a refusal has to be as documented."""
    problem = reply.json
    assert set(problem) == {"errorCode", "trackingId", "message", "timestampUtc"}
    assert reply.headers["x-ms-error-code"] == str(problem["errorCode"])
    assert re.fullmatch(r"[0-9a-f-]{36}", problem["trackingId"])
    assert problem["message"]
    return reply.status, problem["errorCode"]


def test_accepted_then_asked_for(place):
    begun = place.register()
    assert begun.status == 202
    assert begun.headers["retry-after"] == "3"
    assert begun.headers["location"] == f"/{place.dps.scope}/registrations/stove/register"
    assert begun.headers["content-type"] == "application/json; charset=utf-8"
    assert set(begun.json) == {"operationId", "status"}
    assert begun.json["status"] == "assigning"
    found = place.ask("GET", f"/operations/{begun.json['operationId']}")
    assert (found.status, found.json["status"]) == (200, "assigned")
    state = found.json["registrationState"]
    assert (state["assignedHub"], state["deviceId"]) == ("hub.example.net", "stove")
    assert place.hub.registry.keys("stove")[0] == KEY
    # GET is asked again by many a client, and changes nothing
    again = place.ask("GET", f"/operations/{begun.json['operationId']}")
    assert again.json == found.json
    looked_up = place.ask("POST", "", {"registrationId": "stove"})
    assert (looked_up.status, looked_up.json) == (200, state)


def test_a_key_derived_from_a_group_s(place):
    place.dps.groups.put("all", enrollment(OTHER), None)
    token = place.token("oven", derived_key(OTHER, "oven"))
    begun = place.ask("PUT", "/register", token=token, name="oven").json
    found = place.ask("GET", f"/operations/{begun['operationId']}", token=token, name="oven")
    assert found.json["registrationState"]["deviceId"] == "oven"
    # The group's own key is no device's
    wrong = place.ask("PUT", "/register", token=place.token("oven", OTHER), name="oven")
    assert code_of(wrong) == (401, 401002)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"payload": {"modelId": "dtmi:a;1"}, "tpm": {"endorsementKey": "x"}}',
        b'{"registrationId": "stove", "payload": [1, null]}',
        b" " * MAX_BODY_BYTES,
    ],
)
def test_bodies_of_a_device(place, body):
    assert place.ask("PUT", "/register", body).status == 202


def test_the_shapes_of_a_path(place):
    scope, version = place.dps.scope, VERSION
    for target in (
        f"/{scope.lower()}/Registrations/stove/REGISTER{version}",
        f"//{scope}/registrations/st%6fve/register/{version}",
        f"https://elsewhere/{scope}/registrations/stove/register{version}",
    ):
        headers = {"Authorization": place.token()}
        assert ask(place.hub, "PUT", target, b"", headers).status == 202


def test_a_token_may_write_its_resource_in_lower_case(place):
    """As Microsoft's example does: `%2fregistrations%2f`, which is what is signed."""
    written = f"{place.dps.scope}%2fregistrations%2fstove"
    expiry = str(int(place.hub.clock() + 600))
    signature = hmac.new(KEY, f"{written}\n{expiry}".encode(), hashlib.sha256).digest()
    text = quote_plus(base64.b64encode(signature))
    token = f"SharedAccessSignature sr={written}&sig={text}&se={expiry}&skn=registration"
    assert place.register(token=token).status == 202
    assert place.register(token=token.replace("%2f", "%2F")).status == 401


@pytest.mark.parametrize(
    "of_token",
    [
        {"key": OTHER},
        {"life_s": -1000},
        {"policy": "iothubowner"},
        {"scope": "0neOTHER"},
        {"name": "oven"},
    ],
)
@pytest.mark.parametrize(("verb", "rest"), [("PUT", "/register"), ("GET", "/operations/1")])
def test_tokens_that_are_refused(place, of_token, verb, rest):
    assert code_of(place.ask(verb, rest, token=place.token(**of_token))) == (401, 401002)


@pytest.mark.parametrize("token", ["", "Bearer x", "SharedAccessSignature", "\udcff", "x" * 5000])
def test_texts_that_are_no_tokens(place, token):
    for verb, rest in (("PUT", "/register"), ("POST", ""), ("GET", "/operations/1")):
        assert code_of(place.ask(verb, rest, token=token)) == (401, 401002)


def test_what_is_not_there(place):
    assert code_of(place.register(scope="0neOTHER")) == (404, 404000)
    unknown = place.ask("PUT", "/register", token=place.token("oven"), name="oven")
    assert code_of(unknown) == (401, 401002)  # without its enrolment no token can be verified
    assert code_of(place.ask("GET", "/operations/4.0.0")) == (404, 404202)
    assert code_of(place.ask("POST", "")) == (404, 404202)  # it has never come
    for rest in ("/registers", "/operations", "/operations/1/2", "/register/1"):
        assert code_of(place.ask("GET", rest)) == (404, 404000)
    for verb, rest in (("GET", ""), ("POST", "/register"), ("PUT", "/operations/1")):
        assert code_of(place.ask(verb, rest)) == (405, 405000)
    for target in (f"/{place.dps.scope}/registrations", "/0/registrations/"):
        assert code_of(ask(place.hub, "PUT", target + VERSION)) == (404, 404000)


def test_a_path_of_the_hub_s_is_for_the_hub(place):
    for target in ("/registrations/stove", "/devices/registrations/modules", "/x/registrations/y"):
        assert "Message" in ask(place.hub, "POST", target + VERSION).json


@pytest.mark.parametrize("version", ["", "?", "?api-version=", "?API=1"])
def test_the_version_is_wanted(place, version):
    assert code_of(place.register(version=version)) == (400, 400004)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", (400, 400004)),
        (b"[]", (400, 400004)),
        (b"\xff", (400, 400004)),
        (b"[" * 50_000, (400, 400004)),
        (b'{"registrationId": "oven"}', (400, 400004)),
        (b'{"registrationId": null}', (400, 400004)),
        (b" " * (MAX_BODY_BYTES + 1), (413, 413001)),
        (b" " * (1 << 21), (413, 413001)),
    ],
)
def test_bodies_that_are_refused(place, body, told):
    for verb, rest in (("PUT", "/register"), ("POST", "")):
        assert code_of(place.ask(verb, rest, body)) == told


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("a%2Fb", 400004),
        ("..%2F..%2Fdevices", 400004),
        ("%00", 400004),
        ("a%0D%0AX-Header:1", 400004),
        ("st%C3%B6ve", 400004),
        ("x" * 129, 400004),
        ("stove_", 400004),
        ("%", 400006),
        ("%FF", 400006),
        ("", 400004),
    ],
)
def test_ids_that_are_none(place, name, code):
    """Whatever a token of a group's key says: it is refused before it is looked at."""
    place.dps.groups.put("all", enrollment(OTHER), None)
    found = place.ask("PUT", "/register", token=place.token(), name=name)
    assert code_of(found) == (code // 1000, code)
    assert "x-header" not in found.headers


def test_a_disabled_enrolment():
    place = Place(provisioningStatus="disabled")
    begun = place.register()
    assert begun.status == 202
    found = place.ask("GET", f"/operations/{begun.json['operationId']}")
    assert (found.status, found.json["status"]) == (200, "disabled")
    assert not place.hub.registry.exists("stove")


def test_an_operation_is_for_who_began_it(place):
    place.dps.individual.put("oven", enrollment(OTHER), None)
    begun = place.register().json["operationId"]
    token = place.token("oven", OTHER)
    found = place.ask("GET", f"/operations/{begun}", token=token, name="oven")
    assert code_of(found) == (404, 404202)


def test_who_asks_too_often_is_told_to_wait(place):
    for _ in range(5):
        assert place.register().status == 202
    refused = place.register()
    assert code_of(refused) == (429, 429001)
    assert refused.headers["retry-after"] == "3"
    place.hub.clock.now_s += 11
    assert place.register().status == 202


def test_a_disk_that_fails(place, monkeypatch, caplog):
    begun = place.register().json["operationId"]

    def fail(_):
        raise StorageError("no space left")

    monkeypatch.setattr(place.hub.storage, "write", fail)
    assert code_of(place.ask("GET", f"/operations/{begun}")) == (500, 500001)
    assert "no space left" in caplog.text
    monkeypatch.undo()
    assert place.ask("GET", f"/operations/{begun}").json["status"] == "assigned"


def by_certificate(place, monkeypatch, pem):
    """The code of a registration by who shows this certificate in TLS, which is another's test."""

    async def whole():
        app = web.Application()
        dps.add_provisioning(app, place.hub)
        target = f"/{place.dps.scope}/registrations/oven/register{VERSION}"
        request = make_mocked_request("PUT", target, app=app)
        response = await app.middlewares[0](request, None)
        return json.loads(response.text).get("errorCode", response.status)

    shown = x509.load_pem_x509_certificate(pem)
    monkeypatch.setattr(dps, "client_certificate", lambda _: shown)
    return asyncio.run(whole())


def test_certificates(place, monkeypatch):
    own, other = certificate(new_key(), "oven"), certificate(new_key(), "oven")
    assert by_certificate(place, monkeypatch, own) == 404201
    shown = {"clientCertificates": {"primary": {"certificate": own.decode()}}}
    place.dps.individual.put("oven", {"attestation": {"type": "x509", "x509": shown}}, None)
    assert by_certificate(place, monkeypatch, own) == 202
    assert by_certificate(place, monkeypatch, other) == 401002


def test_a_client_that_has_left():
    request = make_mocked_request("PUT", "/")
    request.protocol.transport = None
    assert dps._certificate(request) is None


_TEXT = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="?#"))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"]),
    st.lists(st.one_of(_TEXT, st.sampled_from(["stove", "register", "operations", "%2F", ".."]))),
    st.binary(max_size=200),
    st.booleans(),
)
def test_whatever_comes_is_answered(verb, parts, body, is_known):
    place = Place()
    token = place.token() if is_known else "".join(parts)[:200]
    target = f"/{place.dps.scope}/registrations/{'/'.join(parts)}{VERSION}"
    reply = ask(place.hub, verb, target, body, {"Authorization": token})
    assert reply.status in (202, 400, 401, 404, 405)
    if verb != "HEAD" and reply.status != 202 and b"errorCode" in reply.body:
        code_of(reply)
