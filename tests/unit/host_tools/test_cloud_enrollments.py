"""`thermo dps`: what is asked of the provisioning service, and what becomes of its answers."""

import io
import json
import sys

import pytest
from doubles.keys import KEY
from doubles.service_clients import HOST, SERVICE, VARIABLES, thing

from host_tools import cli

DPS = SERVICE.replace(HOST, "dps.test")


def answer(status=200, content=None, headers=None):
    text = json.dumps(content)
    return thing(
        status_code=status,
        content=b"" if content is None else text.encode(),
        text=text,
        json=lambda: json.loads(text),
        headers=headers or {},
        reason="",
    )


def enrolment(name, kind="registrationId", **more):
    document = {kind: name, "provisioningStatus": "enabled", "etag": "e1"}
    return {**document, "attestation": {"type": "symmetricKey"}, **more}


class Service:
    """Answers `verb path` as it is told to; `asked` is that, and the body, and the headers."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = []

    def request(self, verb, url, *, params, json, headers, timeout, allow_redirects):
        assert url.startswith("https://dps.test/")
        assert (params, allow_redirects) == ({"api-version": "2021-10-01"}, False)
        assert headers["Authorization"].startswith("SharedAccessSignature sr=dps.test&sig=")
        path = url.removeprefix("https://dps.test")
        self.asked.append((verb, path, json, headers.get("x-ms-continuation")))
        found = self.answers[f"{verb} {path}"]
        found = found.pop(0) if isinstance(found, list) else found
        if isinstance(found, BaseException):
            raise found
        return found


@pytest.fixture
def service(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DPS_CONNECTION_STRING", DPS)
    found = Service({})
    monkeypatch.setattr("requests.Session", lambda: found)
    return found


def run(capsys, *arguments):
    code = cli.main(["dps", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


def test_enrolments_by_key(capsys, service):
    service.answers = {
        "PUT /enrollments/a%2Fb": answer(content={}),
        "GET /enrollments/a%2Fb": answer(content=enrolment("a/b", deviceId="d1")),
        "POST /enrollments/a%2Fb/attestationmechanism": answer(
            content={"symmetricKey": {"primaryKey": "one", "secondaryKey": "two"}}
        ),
    }
    words = ("--device-id", "d1", "--desired", "a.b=1", "--disabled", "--show-keys", "--json")
    code, out, err = run(capsys, "create", "a/b", *words)
    assert (code, err) == (0, "")
    assert json.loads(out) == [
        {
            "name": "a/b",
            "status": "enabled",
            "attestation": "symmetricKey",
            "deviceId": "d1",
            "etag": "e1",
            "primaryKey": "one",
            "secondaryKey": "two",
        }
    ]
    assert service.asked[0][2] == {
        "attestation": {"type": "symmetricKey", "symmetricKey": {}},
        "provisioningStatus": "disabled",
        "initialTwin": {"properties": {"desired": {"a": {"b": 1}}}},
        "deviceId": "d1",
        "registrationId": "a/b",
    }


@pytest.mark.parametrize(
    ("options", "folder", "kind", "place"),
    [
        ((), "enrollments", "registrationId", "clientCertificates"),
        (("--group",), "enrollmentGroups", "enrollmentGroupId", "signingCertificates"),
    ],
)
def test_an_enrolment_by_certificate(capsys, service, tmp_path, options, folder, kind, place):
    (tmp_path / "works.pem").write_text("a PEM")
    service.answers = {
        f"PUT /{folder}/works": answer(content={}),
        f"GET /{folder}/works": answer(content=enrolment("works", kind)),
    }
    words = ("--certificate", tmp_path / "works.pem")
    code, out, _ = run(capsys, "create", "works", *words, *options)
    assert code == 0
    assert out.splitlines()[1].split()[:2] == ["works", "enabled"]
    attestation = {"type": "x509", "x509": {place: {"primary": {"certificate": "a PEM"}}}}
    assert service.asked[0][2]["attestation"] == attestation
    assert service.asked[0][2][kind] == "works"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["a", "b", "--device-id", "d"], "thermo: --device-id is for one enrolment of its own"),
        (["a", "--group", "--device-id", "d"], "thermo: --device-id is for one enrolment"),
        (["a", "--certificate", "none.pem"], "thermo: none.pem cannot be read ("),
        (["a", "--certificate", "binary.pem"], "thermo: binary.pem cannot be read ("),
        (["a", "--desired", "x"], "thermo: x is not understood; write PATH=VALUE"),
    ],
)
def test_enrolments_that_cannot_be(capsys, service, tmp_path, monkeypatch, arguments, line):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "binary.pem").write_bytes(b"\xff\xfe")
    code, out, err = run(capsys, "create", *arguments)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(line)
    assert not service.asked


def test_a_long_list_comes_in_pages(capsys, service):
    pages = [
        answer(content=[enrolment("a")], headers={"x-ms-continuation": "more"}),
        answer(content=[enrolment("b")]),
    ]
    service.answers = {"POST /enrollments/query": pages}
    code, out, _ = run(capsys, "list", "--json")
    assert (code, [each["name"] for each in json.loads(out)]) == (0, ["a", "b"])
    assert [token for *_, token in service.asked] == [None, "more"]


def test_an_empty_list(capsys, service):
    service.answers = {"POST /enrollmentGroups/query": answer(content=[])}
    assert run(capsys, "list", "--group") == (0, "", "")
    assert run(capsys, "list", "--group", "--json") == (0, "[]\n", "")


@pytest.mark.parametrize(
    ("registration", "wanted"),
    [
        (answer(content={"status": "assigned", "assignedHub": "h"}), ("assigned", "h")),
        (answer(404, {"message": "no device has come"}), None),
    ],
)
def test_what_became_of_the_device(capsys, service, registration, wanted):
    service.answers = {
        "GET /enrollments/a": answer(content=enrolment("a")),
        "GET /registrations/a": registration,
    }
    code, out, _ = run(capsys, "show", "a", "--json")
    (found,) = json.loads(out)
    assert code == 0
    assert (found.get("registration"), found.get("assignedHub")) == (wanted or (None, None))
    assert ("registration" in found) == (wanted is not None)


def test_a_group_has_no_registration_and_perhaps_no_keys(capsys, service):
    service.answers = {
        "GET /enrollmentGroups/g": answer(content=enrolment("g", "enrollmentGroupId")),
        "POST /enrollmentGroups/g/attestationmechanism": answer(content={"type": "x509"}),
    }
    code, out, _ = run(capsys, "show", "g", "--group", "--show-keys", "--json")
    assert (code, json.loads(out)[0]["primaryKey"]) == (0, None)


def test_one_after_the_other_is_deleted(capsys, service):
    service.answers = {
        "DELETE /enrollments/a": answer(204),
        "DELETE /enrollments/b": answer(404, {"errorCode": 404201, "message": "not found"}),
    }
    code, out, err = run(capsys, "delete", "a", "b")
    assert (code, out) == (1, "")
    first, second = err.splitlines()
    assert first == "a is deleted"
    assert second.startswith("thermo: dps.test refused it with 404 (not found); check the name")
    assert run(capsys, "delete", "a") == (0, "", "a is deleted\n")


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (answer(401, {"message": "expired"}), "dps.test refused it with 401 (expired); take a"),
        (answer(307), "dps.test refused it with 307 (no reason given); check"),
        (ConnectionError("refused"), "the hub dps.test cannot be reached (refused); check"),
        (KeyboardInterrupt(), None),
    ],
)
def test_what_goes_wrong_is_a_line(capsys, service, found, line):
    service.answers = {"POST /enrollments/query": found}
    code, out, err = run(capsys, "list")
    assert out == ""
    assert (code, err.startswith(f"thermo: {line}")) == (1, True) if line else (130, False)


# ---- which service


def test_a_file_and_standard_input(capsys, service, tmp_path, monkeypatch):
    monkeypatch.setenv("DPS_CONNECTION_STRING", "HostName=another.test")
    service.answers = {"POST /enrollments/query": answer(content=[])}
    path = tmp_path / "dps.key"
    path.touch(0o600)
    path.write_text(DPS)
    assert run(capsys, "list", "--hub", path) == (0, "", "")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(DPS.encode())))
    assert run(capsys, "list", "--hub", "-") == (0, "", "")


def test_beside_a_hub_of_the_environment(capsys, service, monkeypatch):
    monkeypatch.setenv("IOTHUB_CONNECTION_STRING", SERVICE)
    service.answers = {"POST /enrollments/query": answer(content=[])}
    assert run(capsys, "list", "--hub", "env") == (0, "", "")


@pytest.mark.parametrize(
    ("hub", "variables", "line"),
    [
        (None, {"IOTHUB_CONNECTION_STRING": SERVICE}, "the provisioning service is not known; "),
        ("env", {"IOTHUB_CONNECTION_STRING": SERVICE}, "the provisioning service is not known; "),
        (None, {"IOTHUB_HOSTNAME": HOST}, "the provisioning service is not known; "),
        (None, {"DPS_CONNECTION_STRING": "x"}, "the service connection string has no HostName; "),
        ("none.key", {}, "none.key cannot be read (No such file or directory); check the path"),
        (DPS, {}, "--hub holds a secret, which the process list"),
    ],
)
def test_services_that_cannot_be(capsys, service, tmp_path, monkeypatch, hub, variables, line):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DPS_CONNECTION_STRING")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    code, out, err = run(capsys, "list", *(["--hub", hub] if hub else []))
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"thermo: {line}")
    assert KEY not in err
    assert not service.asked


# ---- keys of a group's devices


def test_a_derived_key(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(KEY.encode() + b"\n")))
    code, out, err = run(capsys, "derive-key", "--registration-id", "stove-7")
    assert (code, len(out), err) == (0, 45, "")
    assert KEY not in out


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("none", "none cannot be read (No such file or directory); check the path"),
        ("short", "the group key has 3 bytes, one of Azure's has 16 to 64; copy it again"),
        ("binary", "the group key is not base64; copy it again, whole"),
        (f"SharedAccessKey={KEY}", "--from holds a secret, which the process list"),
    ],
)
def test_a_key_that_cannot_be_derived(capsys, tmp_path, monkeypatch, name, line):
    monkeypatch.chdir(tmp_path)
    for file, content in (("short", b"AAAA"), ("binary", b"\xff")):
        (tmp_path / file).touch(0o600)
        (tmp_path / file).write_bytes(content)
    code, out, err = run(capsys, "derive-key", "--registration-id", "stove-7", "--from", name)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"thermo: {line}")


def test_a_name_that_is_no_text(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(KEY.encode())))
    code, out, err = run(capsys, "derive-key", "--registration-id", "stove-\udcff")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("thermo: --registration-id stove-\\udcff is no text in UTF-8; ")
