"""Which hub a verb speaks to, as whom, and what it says when that goes wrong: one line, no key."""

import io
import json
import os
import sys

import pytest
from doubles.keys import KEY
from doubles.service_clients import EVENTS, HOST, SERVICE, VARIABLES, Client, refusal

from host_tools import cli
from host_tools.cloud import connection, twins_connection
from host_tools.credentials import CredentialError, Secret
from host_tools.hub.listeners import ServerError
from host_tools.service import ServiceError

LOCAL = SERVICE.replace(HOST, "127.0.0.1:8443")
RUNNING = {
    "service": LOCAL,
    "events": EVENTS,
    "provisioning": LOCAL,
    "identity": "a secret",
    "identity_url": "http://127.0.0.1:1/token",
    "twins": "https://127.0.0.1:8443",
    "host": "127.0.0.1",
    "mqtt_port": 8883,
    "exposed": False,
}


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    for name in VARIABLES:
        os.environ.pop(name, None)


def private(path, text):
    path.touch(0o600)
    path.write_text(text)
    return path


@pytest.fixture
def local(tmp_path):
    """A workspace in which a hub seems to run."""
    private(tmp_path / "running.json", json.dumps(RUNNING))
    (tmp_path / "ca.der").write_bytes(b"")
    return tmp_path


# ---- which hub


def test_the_local_hub_is_found_by_its_workspace(local):
    for name in (None, "local"):
        found = connection.find(name, local)
        assert (found.host, found.text) == ("127.0.0.1:8443", Secret(LOCAL))
        assert found.events == Secret(EVENTS)
        assert found.provisioning == Secret(LOCAL)
    for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        assert os.environ[variable] == str(local / "ca-bundle.pem")
    assert os.environ["NO_PROXY"] == "*"


def test_the_environment_comes_before_the_workspace(local):
    os.environ.update(
        IOTHUB_CONNECTION_STRING=SERVICE, EVENT_HUB_CONN_STR=EVENTS, DPS_CONNECTION_STRING=LOCAL
    )
    for name in (None, "env"):
        found = connection.find(name, local)
        assert (found.host, found.text) == (HOST, Secret(SERVICE))
        assert (found.events, found.provisioning) == (Secret(EVENTS), Secret(LOCAL))
    assert connection.find("local", local).host == "127.0.0.1:8443"


def test_a_file_and_standard_input(local, monkeypatch):
    path = private(local / "hub.key", SERVICE + "\n")
    assert connection.find(str(path), local).text == Secret(SERVICE)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SERVICE.encode())))
    found = connection.find("-", local)
    assert (found.text, found.events, found.provisioning) == (Secret(SERVICE), None, None)


def test_a_host_alone_is_entered_by_azures_credential(local, monkeypatch):
    os.environ["IOTHUB_HOSTNAME"] = HOST
    found = connection.find(None, local)
    assert (found.host, found.text) == (HOST, None)
    monkeypatch.setattr("azure.identity.DefaultAzureCredential", lambda: "who I am")
    for name, open_one in (
        ("IoTHubRegistryManager", found.registry),
        ("IoTHubHttpRuntimeManager", found.runtime),
        ("IoTHubJobManager", found.jobs),
        ("DigitalTwinClient", found.digital_twins),
    ):
        client = Client(from_token_credential="opened")
        monkeypatch.setattr(f"azure.iot.hub.{name}", client)
        assert open_one() == "opened"
        assert client.asked("from_token_credential") == [[HOST, "who I am"]]


@pytest.mark.parametrize(
    ("variables", "hub", "line"),
    [
        ({}, None, "thermo: no hub is named; set IOTHUB_CONNECTION_STRING, or start a local one"),
        ({}, "env", "thermo: IOTHUB_CONNECTION_STRING is not set; set it, or name a file"),
        ({}, "local", "thermo: no hub runs in the workspace "),
        ({}, "none.key", "thermo: none.key cannot be read (No such file or directory); check"),
        ({}, "open.key", "thermo: open.key may be read by others (mode 0644); run `chmod 600"),
        ({}, "empty.key", "thermo: empty.key is empty; put the secret into it"),
        ({}, "binary.key", "thermo: the service connection string has no HostName; copy it"),
        ({}, SERVICE, "thermo: --hub holds a secret, which the process list"),
        ({}, "-", "thermo: standard input is empty; put the secret into it"),
        (
            {"IOTHUB_CONNECTION_STRING": SERVICE.replace(HOST, "a/b")},
            None,
            "thermo: HostName is not a host name; copy the connection string again",
        ),
        (
            {"IOTHUB_CONNECTION_STRING": f"HostName=h;DeviceId=d;SharedAccessKey={KEY}"},
            None,
            "thermo: this is a device's connection string",
        ),
        (
            {"IOTHUB_CONNECTION_STRING": SERVICE[:-3]},
            None,
            "thermo: the service connection string's SharedAccessKey is not base64",
        ),
    ],
)
def test_hubs_that_cannot_be(capsys, tmp_path, monkeypatch, variables, hub, line):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b" \n")))
    os.environ.update(variables)
    (tmp_path / "open.key").write_text(SERVICE)
    (tmp_path / "open.key").chmod(0o644)
    private(tmp_path / "empty.key", "\n")
    private(tmp_path / "binary.key", "").write_bytes(b"\xff\xfe\x00")
    code = cli.main(["device", "list", *(["--hub", hub] if hub else [])])
    out, err = capsys.readouterr()
    assert (code, out) == (1, "")
    assert err.startswith(line)
    assert err.count("\n") == 1
    assert KEY not in err


# ---- what an SDK says


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            refusal(401, '{"Message": "ErrorCode:IotHubUnauthorizedAccess"}'),
            f"{HOST} refused it with 401 (ErrorCode:IotHubUnauthorizedAccess); "
            "take a connection string, or an identity, that may do this",
        ),
        (
            refusal(404, '{"Message": "{\\"errorCode\\": 404103, \\"message\\": \\"away\\"}"}'),
            f"{HOST} refused it with 404 (away); check the name, and",
        ),
        (
            refusal(409, '{"Message": "taken", "ExceptionMessage": "Tracking"}'),
            f"{HOST} refused it with 409 (taken); it exists already",
        ),
        (
            refusal(412, lambda: '{"message": "etag"}'),
            f"{HOST} refused it with 412 (etag); it has changed meanwhile; try again",
        ),
        (
            refusal(400, '{"error": {"code": "BadRequest", "message": "no such model"}}'),
            f"{HOST} refused it with 400 (BadRequest: no such model); check what was asked for",
        ),
        (
            refusal(400, '{"error": {"code": "BadRequest"}}'),
            f"{HOST} refused it with 400 (BadRequest); check",
        ),
        (refusal(400, '{"error": {}}', reason="Bad"), f"{HOST} refused it with 400 (Bad); check"),
        (refusal(400, '{"Message": "42"}'), f"{HOST} refused it with 400 (42); check"),
        (refusal(429, "<html>", reason="Too Many"), f"{HOST} refused it with 429 (Too Many); the"),
        (refusal(500, "[1]"), f"{HOST} refused it with 500 (no reason given); check"),
        (refusal(504, None), f"{HOST} refused it with 504 (no reason given); the device did"),
        (
            refusal(403, json.dumps({"Message": "x" * 200})),
            f"{HOST} refused it with 403 ({'x' * 159}…); a quota is spent",
        ),
        (
            type("ClientAuthenticationError", (Exception,), {})("a token"),
            f"the hub {HOST} refuses the credentials; they may have been renewed: take new ones",
        ),
        (
            ConnectionRefusedError("refused\nmore"),
            f"the hub {HOST} cannot be reached (refused); check that it runs, its name, and",
        ),
        (TimeoutError(), f"the hub {HOST} cannot be reached (TimeoutError); check"),
        (KeyError("modelId"), f"the hub {HOST} did not do it ('modelId'); check what was asked"),
        (ValueError(), f"the hub {HOST} did not do it (ValueError); check what was asked for"),
    ],
)
def test_what_goes_wrong_is_a_line(capsys, monkeypatch, error, line):
    os.environ["IOTHUB_CONNECTION_STRING"] = SERVICE
    client = Client(get_devices=error)
    monkeypatch.setattr("azure.iot.hub.IoTHubRegistryManager.from_connection_string", client.open)
    client.answers["open"] = client
    assert cli.main(["device", "list"]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"thermo: {line}")
    assert client.asked("open") == [[SERVICE]]


@pytest.mark.parametrize("error", [ServiceError("a"), CredentialError("b"), KeyboardInterrupt()])
def test_what_is_told_already_stays(error):
    with pytest.raises(type(error)) as caught, connection.told(HOST):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    "arguments",
    [
        ["device", "list"],
        ["twin", "show", "t1"],
        ["twin", "tag", "t1", "a=1"],
        ["query", "SELECT * FROM devices"],
        ["call", "t1", "reboot"],
        ["send", "t1", "hello"],
        ["events"],
        ["jobs", "list"],
        ["jobs", "set", "a=1", "--where", "*"],
        ["jobs", "call", "reboot", "--where", "*"],
        ["certify", "t1"],
        ["twins", "query", "SELECT * FROM DIGITALTWINS"],
    ],
    ids=" ".join,
)
def test_without_the_sdks_the_extra_is_named(capsys, monkeypatch, arguments):
    for name in [*sys.modules, "azure", "azure.iot.hub", "azure.iot.hub.models"]:
        if name.partition(".")[0] in ("azure", "msrest"):
            monkeypatch.setitem(sys.modules, name, None)
    os.environ.update(
        IOTHUB_CONNECTION_STRING=SERVICE, EVENT_HUB_CONN_STR=EVENTS, AZURE_URL="twins.test"
    )
    assert cli.main(arguments) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("thermo: this needs Microsoft's package azure-")
    assert "pip install 'thermo-tools[azure]'" in err


# ---- which Digital Twins


def test_the_local_digital_twins_and_who_signs_in_there(local):
    found = twins_connection.find_twins(None, local)
    assert found == twins_connection.find_twins("local", local)
    assert found.url == "https://127.0.0.1:8443"
    assert os.environ["IDENTITY_ENDPOINT"] == RUNNING["identity_url"]
    assert os.environ["IDENTITY_HEADER"] == "a secret"
    assert os.environ["AZURE_TOKEN_CREDENTIALS"] == "ManagedIdentityCredential"


def test_digital_twins_by_url(tmp_path, monkeypatch):
    find_twins = twins_connection.find_twins
    assert find_twins("https://given.test", tmp_path).url == "https://given.test"
    assert find_twins("given.test", tmp_path).url == "https://given.test"
    os.environ["AZURE_URL"] = "set.test"
    assert find_twins(None, tmp_path) == find_twins("env", tmp_path)
    assert find_twins("env", tmp_path).url == "https://set.test"
    monkeypatch.setattr("azure.identity.DefaultAzureCredential", lambda: "who I am")
    monkeypatch.setattr("azure.digitaltwins.core.DigitalTwinsClient", lambda *given: given)
    assert find_twins(None, tmp_path).client() == ("https://set.test", "who I am")


def test_digital_twins_that_cannot_be(tmp_path):
    with pytest.raises(ServiceError, match="AZURE_URL is not set"):
        twins_connection.find_twins("env", tmp_path)
    with pytest.raises(ServiceError, match="is not https"):
        twins_connection.find_twins("http://given.test", tmp_path)
    with pytest.raises(ServerError, match="no hub runs"):
        twins_connection.find_twins(None, tmp_path)


def test_a_fresh_twin_has_each_component():
    fresh = twins_connection.fresh_twin("dtmi:a;1", ["one", "two"], {"one": {"x": 1}, "y": 2})
    assert fresh == {
        "$metadata": {"$model": "dtmi:a;1"},
        "one": {"x": 1, "$metadata": {}},
        "two": {"$metadata": {}},
        "y": 2,
    }
