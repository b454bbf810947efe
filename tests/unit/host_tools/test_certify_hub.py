"""A device under test, as its hub gives it; and `thermo certify`, up to its exit code."""

import json
import threading

import pytest
from doubles.service_clients import HOST, SERVICE, VARIABLES, Client, refusal, thing
from msrest.exceptions import HttpOperationError

from host_tools import cli
from host_tools.certify import commands, hub
from host_tools.certify.checks import BAD, OK, SKIPPED, Finding
from host_tools.certify.hub import HubDevice, wait_for
from host_tools.cloud.connection import HubConnection
from host_tools.credentials import Secret

TWIN = thing(
    additional_properties={"modelId": "dtmi:a;1"},
    connection_state="Connected",
    properties=thing(
        desired={"$metadata": {}, "$version": 3, "target": 20}, reported={"$metadata": {}, "x": 1}
    ),
)


@pytest.fixture
def registry(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IOTHUB_CONNECTION_STRING", SERVICE)
    found = Client(get_twin=TWIN, update_twin=TWIN)
    monkeypatch.setattr(
        "azure.iot.hub.IoTHubRegistryManager.from_connection_string", lambda _: found
    )
    return found


@pytest.fixture
def device(registry):
    return HubDevice(HubConnection(HOST, Secret(SERVICE)), "t1")


# ---- what it asks of the hub


def test_its_twin_without_metadata(device):
    assert device.twin() == {
        "modelId": "dtmi:a;1",
        "connectionState": "Connected",
        "desired": {"$version": 3, "target": 20},
        "reported": {"x": 1},
    }


def test_what_is_desired_has_a_version(device, registry):
    assert device.set_desired({"target": 21}) == 3
    ((name, twin, etag),) = registry.asked("update_twin")
    assert (name, twin.properties.desired, etag) == ("t1", {"target": 21}, "*")


def test_a_command_is_given_the_time_that_the_service_allows(device, registry):
    registry.answers["invoke_device_method"] = thing(status="200", payload="done")
    assert device.call("reboot", 3, 1) == (200, "done")
    ((name, request),) = registry.asked("invoke_device_method")
    assert (name, request.method_name, request.payload) == ("t1", "reboot", 3)
    assert request.response_timeout_in_seconds == 5


class Refused(HttpOperationError):
    def __init__(self, text):
        Exception.__init__(self, text)


@pytest.mark.parametrize("status", [404, 504])
def test_a_command_that_is_not_answered(device, registry, status):
    registry.answers["invoke_device_method"] = refusal(status, error=Refused)
    assert device.call("reboot", None, 15) is None


def test_a_command_that_the_hub_refuses(device, registry):
    registry.answers["invoke_device_method"] = refusal(429, error=Refused)
    with pytest.raises(Refused):
        device.call("reboot", None, 15)


@pytest.mark.parametrize(
    ("authentication", "name", "given"),
    [
        (
            thing(type="sas", symmetric_key=thing(primary_key="one", secondary_key="two")),
            "update_device_with_sas",
            ["one", "two"],
        ),
        (
            thing(
                type="selfSigned",
                x509_thumbprint=thing(primary_thumbprint="AA", secondary_thumbprint="BB"),
            ),
            "update_device_with_x509",
            ["AA", "BB"],
        ),
        (thing(type="certificateAuthority"), "update_device_with_certificate_authority", []),
    ],
)
def test_it_is_let_in_and_out_as_whoever_it_is(device, registry, authentication, name, given):
    registry.answers["get_device"] = thing(authentication=authentication, etag="e1")
    device.set_enabled(False)
    device.set_enabled(True)
    assert registry.asked(name) == [
        ["t1", "e1", *given, "disabled"],
        ["t1", "e1", *given, "enabled"],
    ]


def test_its_telemetry_is_gathered_and_nothing_else(device, monkeypatch):
    mine = {"device": "t1", "source": "Telemetry", "body": 1}
    others = [{**mine, "device": "t2"}, {**mine, "source": "twinChangeEvents"}]
    is_read = threading.Event()

    def read(connection, group, start, is_over):
        yield from [mine, *others, mine]
        is_read.set()
        while not is_over():
            pass

    monkeypatch.setattr(hub, "read_events", read)
    device.begin()
    assert is_read.wait(10)
    assert device.events() == [mine, mine]
    device.end()
    assert device.events() == [mine, mine]


def test_that_events_cannot_be_read_is_told_when_they_are_asked_for(device, monkeypatch):
    device.begin()
    device.end()
    with pytest.raises(Exception, match="set EVENT_HUB_CONN_STR"):
        device.events()


def test_what_never_began_ends(device):
    device.end()
    assert device.events() == []


def test_what_is_waited_for(monkeypatch):
    monkeypatch.setattr(hub, "_LOOK_S", 0)
    looks = iter([None, None, 7])
    assert wait_for(lambda: next(looks), 60) == 7
    assert wait_for(lambda: None, 0) is None


# ---- the command

FOUND = [
    Finding("model is announced", "dtmi:a;1", OK),
    Finding("telemetry is sent", "load", SKIPPED, "it was not sent"),
    Finding("command works", "[red]\x1b[2J", BAD, "status 500"),
]


@pytest.fixture
def certification(registry, monkeypatch):
    """Finds what it is told to; `asked` is what it was made of."""
    answer = thing(found=list(FOUND), asked=[])

    class Certification:
        def __init__(self, *given):
            answer.asked.append(given)

        def run(self):
            tell = answer.asked[-1][-1]
            for each in answer.found:
                if isinstance(each, BaseException):
                    raise each
                tell(each)
            return answer.found

    monkeypatch.setattr(commands, "Certification", Certification)
    monkeypatch.setattr(hub, "read_events", lambda *given: iter(()))
    return answer


def run(capsys, *arguments):
    code = cli.main(["certify", "t1", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


def test_findings_for_people(capsys, certification):
    code, out, err = run(capsys)
    assert code == 3
    assert out.splitlines() == [
        "ok  model is announced, dtmi:a;1",
        "–   telemetry is sent, load: it was not sent",
        r"BAD command works, [red]\x1b[2J: status 500",
    ]
    assert err == "1 ok, 1 bad, 1 not seen or skipped\n"
    certification.found = FOUND[:2]
    assert run(capsys)[0] == 0


def test_findings_for_programs(capsys, certification):
    code, out, err = run(capsys, "--json")
    assert (code, err) == (3, "")
    assert json.loads(out) == [each.document() for each in FOUND]


def test_what_is_wished_is_handed_on(capsys, certification, tmp_path):
    (tmp_path / "a.json").write_text('{"@id": "dtmi:a;1"}')
    words = ("--skip", "reboot", "--skip", "a*b", "--no-reconnect", "--patience", 5)
    run(capsys, *words, "--telemetry", 7, "--models", tmp_path)
    ((_, models, patience, skip, with_reconnect, _),) = certification.asked
    assert list(models) == ["dtmi:a;1"]
    assert (patience.telemetry_s, patience.answer_s, patience.return_s) == (7, 5, 330)
    assert (skip, with_reconnect) == ({"reboot", "a*b"}, False)


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (KeyboardInterrupt(), 130, ""),
        (ConnectionError("gone"), 1, f"thermo: the hub {HOST} cannot be reached (gone); check"),
        (refusal(404, '{"Message": "t1"}'), 1, f"thermo: {HOST} refused it with 404 (t1); check"),
    ],
)
def test_what_ends_it_early(capsys, certification, error, code, line):
    certification.found = [FOUND[0], error]
    got, out, err = run(capsys)
    assert (got, out) == (code, "ok  model is announced, dtmi:a;1\n")
    assert err.startswith(line)
    assert err.count("\n") == (1 if line else 0)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "there is no DTDL file in "),
        ("{no json", "the models in "),
        ('{"@id": "no model"}', "there is no DTDL file in "),
        ("[1]", "there is no DTDL file in "),
        ("x" * (1 << 21), "there is no DTDL file in "),
        ("[" * 100_000, "the models in "),
    ],
    ids=["nothing", "broken", "another", "numbers", "large", "deep"],
)
def test_models_that_cannot_be(capsys, certification, tmp_path, content, line):
    if content is not None:
        (tmp_path / "a.json").write_text(content)
    code, out, err = run(capsys, "--models", tmp_path)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"thermo: {line}")
