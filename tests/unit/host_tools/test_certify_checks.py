"""The checks, of a device in memory that does right, or one thing wrong."""

import copy

import pytest

from host_tools.certify import checks, hub
from host_tools.certify.checks import BAD, OK, SKIPPED, Certification, Patience
from host_tools.certify.schema import fits

ROOT, ZONE = "dtmi:test:Root;1", "dtmi:test:Zone;1"


def interface(dtmi, *contents):
    return {"@id": dtmi, "contents": list(contents)}


def part(kind, name, schema="double", **more):
    return {"@type": kind, "name": name, "schema": schema, **more}


MODELS = {
    ROOT: interface(
        ROOT,
        part("Property", "serial", "string"),
        part("Telemetry", "load"),
        {"@type": "Command", "name": "reboot", "request": {"name": "s", "schema": "integer"}},
        part("Component", "zone1", ZONE),
        # Of neither kind that is checked: it is passed over
        {"@type": "Relationship", "name": "isIn"},
    ),
    ZONE: interface(
        ZONE,
        part("Property", "target", writable=True),
        {
            "@type": "Command",
            "name": "report",
            "response": {"name": "r", "schema": "string"},
        },
        part("Telemetry", "temperature"),
    ),
}
SHORT = Patience(telemetry_s=0, answer_s=0, return_s=0)


def message(component, body):
    names = {"contentType": "application/json", "contentEncoding": "utf-8"}
    return {"component": component, "body": body, **names}


class Device:
    """Does what its model says, except for what a test overrides."""

    def __init__(self):
        self.model = ROOT
        self.desired = {"zone1": {"__t": "c", "target": 19.0}}
        self.reported = {"serial": "7", "connectivity": "wifi", "$version": 1}
        self.reported["zone1"] = {"__t": "c", "target": {"value": 21.0, "ac": 200, "av": 1}}
        self.version = 1
        self.is_enabled = True
        self.leaves = True
        self.patches = []
        self.called = []
        self.answers = {}
        self.sent = [message("", {"load": 1.0}), message("zone1", {"temperature": 21.5})]

    def twin(self):
        is_here = self.is_enabled or not self.leaves
        return {
            "modelId": self.model,
            "connectionState": "Connected" if is_here else "Disconnected",
            "desired": copy.deepcopy(self.desired),
            "reported": copy.deepcopy(self.reported),
        }

    def set_desired(self, patch):
        self.version += 1
        self.patches.append(patch)
        found = self.acknowledge(patch["zone1"]["target"])
        if found is not None:
            self.reported["zone1"]["target"] = found
        return self.version

    def acknowledge(self, value):
        if value is None:
            return {"value": 20.0, "ac": 203, "av": 0}
        if not fits("double", value):
            return {"value": 20.0, "ac": 400, "av": self.version}
        return {"value": value, "ac": 200, "av": self.version}

    def call(self, name, payload, timeout_s):
        self.called.append((name, payload))
        if name in self.answers:
            return self.answers[name]
        if name == "reboot":
            return (200, None) if fits("integer", payload) else (400, None)
        return (200, "fine") if name == "zone1*report" else (404, None)

    def set_enabled(self, is_enabled):
        self.is_enabled = is_enabled

    def events(self):
        return self.sent


@pytest.fixture(autouse=True)
def no_time_passes(monkeypatch):
    monkeypatch.setattr(hub, "_LOOK_S", 0)
    monkeypatch.setattr(checks.time, "sleep", lambda seconds: None)


def certified(device, patience=SHORT, **options):
    return Certification(device, MODELS, patience, **options).run()


def those(found, state):
    return [(each.check, each.subject, each.detail) for each in found if each.state == state]


def test_a_device_that_does_right():
    device, told = Device(), []
    found = certified(device, tell=told.append)
    assert [each.state for each in found] == [OK] * 20
    assert told == found
    # A value that it has was written, and at the end what was desired before
    assert device.patches[0] == {"zone1": {"__t": "c", "target": 21.0}}
    assert device.patches[-1] == {"zone1": {"__t": "c", "target": 19.0}}
    assert device.is_enabled
    assert found[0].document() == {
        "check": "model is announced",
        "subject": ROOT,
        "state": "ok",
        "detail": "",
    }


def altered(**members):
    device = Device()
    for name, value in members.items():
        setattr(device, name, value)
    return device


def reporting(**sections):
    device = Device()
    device.reported.update(sections)
    for name in [name for name, value in sections.items() if value is None]:
        del device.reported[name]
    return device


@pytest.mark.parametrize(
    ("device", "check", "subject", "detail"),
    [
        (
            altered(model=""),
            "model is announced",
            "-",
            f"the folder of models has {ROOT}, {ZONE}",
        ),
        (reporting(serial=None), "property is reported", "serial", "it was never reported"),
        (reporting(serial=7), "property is reported", "serial", "7 is not of schema string"),
        (
            reporting(zone1={"target": {}}),
            "component is marked",
            "zone1",
            'what is reported of it has no "__t": "c"',
        ),
        (reporting(odd=1), "nothing else is reported", "-", "the model declares no odd"),
        (
            reporting(zone1={"__t": "c", "odd": 1}),
            "nothing else is reported",
            "-",
            "the model declares no zone1.odd",
        ),
        (
            altered(acknowledge=lambda value: None),
            "write is acknowledged",
            "zone1.target",
            "acknowledged for version 1, and 2 was asked for",
        ),
        (
            altered(acknowledge=lambda value: value),
            "write is acknowledged",
            "zone1.target",
            "it is reported bare, without value, ac and av",
        ),
        (
            altered(answers={"reboot": None}),
            "wrong payload is refused",
            "reboot",
            "it was not answered in time",
        ),
        (
            altered(answers={"reboot": (200, None)}),
            "wrong payload is refused",
            "reboot",
            "status 200 instead of 4xx or 5xx",
        ),
        (
            altered(answers={"zone1*report": None}),
            "command works",
            "zone1*report",
            "it was not answered in time",
        ),
        (
            altered(answers={"zone1*report": (500, None)}),
            "command works",
            "zone1*report",
            "status 500 to None",
        ),
        (
            altered(answers={"zone1*report": (200, 5)}),
            "answer fits the model",
            "zone1*report",
            "5 is not of schema string",
        ),
        (
            altered(answers={"report": (200, "fine")}),
            "root does not answer for it",
            "report",
            "status 200 instead of 4xx or 5xx",
        ),
        (
            altered(answers={"certifyDoesNotExist": (200, None)}),
            "unknown command is refused",
            "certifyDoesNotExist",
            "status 200 instead of 4xx or 5xx",
        ),
        (
            altered(sent=[message("zone1", "a text")]),
            "telemetry is JSON",
            "-",
            "a message is no JSON object, or does not say that it is (content type and encoding)",
        ),
        (
            altered(sent=[message("zone2", {"x": 1}), message("", {"y": 1})]),
            "telemetry is declared",
            "-",
            "the model declares no y; the model has no component zone2",
        ),
        (
            altered(sent=[message("zone1", {"temperature": "warm"})]),
            "telemetry fits the model",
            "-",
            "zone1.temperature: 'warm' is not of schema double",
        ),
    ],
)
def test_what_a_device_does_wrong_is_told(device, check, subject, detail):
    assert (check, subject, detail) in those(certified(device), BAD)


def test_without_a_model_nothing_is_touched():
    device = altered(model="dtmi:other;1")
    assert len(certified(device)) == 1
    assert not device.patches
    assert not device.called


def test_a_section_that_is_none_is_a_stranger():
    device = reporting(zone1="broken")
    device.acknowledge = lambda value: None
    device.set_desired = lambda patch: 2
    bad = those(certified(device), BAD)
    assert ("component is marked", "zone1", 'what is reported of it has no "__t": "c"') in bad
    assert ("nothing else is reported", "-", "the model declares no zone1") in bad
    assert ("write is acknowledged", "zone1.target", "it was not acknowledged in time") in bad


@pytest.mark.parametrize("skip", ["reboot", "report", "zone1*report"])
def test_a_command_that_is_not_to_be_called(skip):
    device = Device()
    found = certified(device, skip=frozenset([skip]))
    name = "reboot" if skip == "reboot" else "zone1*report"
    assert those(found, SKIPPED) == [("command works", name, "by --skip")]
    # Wrongly it is called all the same
    assert ("reboot", ["not", "this"]) in device.called


def test_telemetry_that_does_not_come_is_not_bad():
    found = certified(altered(sent=[]))
    assert not those(found, BAD)
    assert those(found, SKIPPED) == [
        ("telemetry is sent", "load", "it was not sent in the time that was watched"),
        ("telemetry is sent", "zone1.temperature", "it was not sent in the time that was watched"),
        ("telemetry is JSON", "-", "no message was seen"),
    ]


# ---- coming back


def test_a_device_that_does_not_leave_is_let_in_again():
    device = altered(leaves=False)
    found = certified(device)
    assert those(found, SKIPPED) == [
        ("twin is read on return", "zone1.target", "it did not leave")
    ]
    assert device.is_enabled


def test_a_device_that_does_not_read_its_twin_on_return():
    device = Device()
    right = device.acknowledge
    device.acknowledge = lambda value: right(value) if device.is_enabled else None
    bad = those(certified(device), BAD)
    ((check, _, detail),) = bad
    assert check == "twin is read on return"
    assert detail == "what was desired while it was away (version 5) was not acknowledged"


def test_it_need_not_be_thrown_out():
    device = Device()
    device.set_enabled = None
    assert not those(certified(device, with_reconnect=False), BAD)


def test_ctrl_c_lets_it_in_and_restores_what_was_desired():
    device, seen = Device(), []
    right = device.set_desired

    def interrupted(patch):
        seen.append(patch)
        if not device.is_enabled:
            raise KeyboardInterrupt
        return right(patch)

    device.set_desired = interrupted
    with pytest.raises(KeyboardInterrupt):
        certified(device)
    assert device.is_enabled
    assert seen[-1] == {"zone1": {"__t": "c", "target": 19.0}}


def test_a_model_at_the_root_alone(monkeypatch):
    """Its writable property is of no component; one that was never desired is null again."""
    device = Device()
    device.desired, device.reported = {}, {"target": 3.5}
    told = []

    def set_desired(patch):
        told.append(patch)
        device.version += 1
        device.reported["target"] = device.acknowledge(patch["target"])
        return device.version

    device.set_desired = set_desired
    device.sent = [message("", {"temperature": 21.5})]
    device.answers = {"report": (200, "fine")}
    device.model = ZONE
    found = certified(device)
    assert not those(found, BAD)
    # The property was reported bare: no value of its own to write, so an example
    assert told[0] == {"target": 1.5}
    assert told[-1] == {"target": None}


def test_a_model_with_nothing_to_write():
    models = {ROOT: interface(ROOT)}
    device = Device()
    device.reported = {}
    found = Certification(device, models, SHORT).run()
    assert not device.patches
    assert "twin is read on return" not in [each.check for each in found]
