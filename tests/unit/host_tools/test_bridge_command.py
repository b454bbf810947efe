"""`thermo twins bridge`: where it goes on, which rooms there are, and how it ends."""

import json

import pytest
from doubles.service_clients import EVENTS, HOST, SERVICE, VARIABLES, reading, thing

from host_tools import cli
from host_tools.cloud import bridge_command
from host_tools.cloud.bridge_command import Position, read_rooms
from host_tools.service import ServiceError


@pytest.fixture
def world(monkeypatch, tmp_path):
    """`coming` is what is read, exceptions among it; `taken` what the bridge was given."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IOTHUB_CONNECTION_STRING", SERVICE)
    monkeypatch.setenv("EVENT_HUB_CONN_STR", EVENTS)
    monkeypatch.setenv("AZURE_URL", "twins.test")
    monkeypatch.chdir(tmp_path)
    found = thing(coming=[], taken=[], start=None)

    class Bridge:
        def __init__(self, twins, registry, rooms, say):
            found.rooms, self.counts = rooms, {}

        def take(self, event):
            found.taken.append(event)
            self.counts["telemetry"] = len(found.taken)

    def note(connection, group, start):
        found.start = dict(start)

    monkeypatch.setattr(bridge_command, "Bridge", Bridge)
    monkeypatch.setattr(bridge_command, "read_events", reading(found, note))
    for name in (
        "azure.identity.DefaultAzureCredential",
        "azure.digitaltwins.core.DigitalTwinsClient",
    ):
        monkeypatch.setattr(name, lambda *given: given)
    monkeypatch.setattr(
        "azure.iot.hub.IoTHubRegistryManager.from_connection_string", lambda text: text
    )
    return found


def run(capsys, *arguments):
    code = cli.main(["twins", "bridge", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


def event(number, partition="0"):
    return {"partition": partition, "number": number}


def test_after_a_stop_it_goes_on_where_it_was(capsys, world, tmp_path):
    world.coming = [event(4), event(9, "1"), event(5), KeyboardInterrupt()]
    assert run(capsys) == (0, "", "3 telemetry\n")
    assert world.start == {}
    assert json.loads((tmp_path / ".thermo/bridge-position.json").read_text()) == {"0": 5, "1": 9}
    world.coming = []
    assert run(capsys, "--seconds", 0.01)[0] == 0
    assert world.start == {"0": 5, "1": 9}


def test_what_was_reached_is_kept_when_it_fails(capsys, world, tmp_path, monkeypatch):
    monkeypatch.setattr(bridge_command, "_SAVE_S", -1.0)
    world.coming = [event(4), ConnectionError("gone")]
    code, out, err = run(capsys, "--position", "here.json")
    assert (code, out) == (1, "")
    assert err.startswith("thermo: the hub https://twins.test cannot be reached (gone); ")
    assert json.loads((tmp_path / "here.json").read_text()) == {"0": 4}
    assert not (tmp_path / "here.json.new").exists()


def test_nothing_came(capsys, world):
    assert run(capsys, "--seconds", 0.01) == (0, "", "nothing came\n")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("{", "cannot be read ("),
        ("[" * 60_000, "cannot be read ("),
        ("[]", "is not a JSON object; correct the file"),
        ('{"0": "5"}', "holds no position; delete it to begin with the oldest"),
        ('{"0": true}', "holds no position; delete it to begin with the oldest"),
    ],
    ids=["broken", "deep", "list", "text", "bool"],
)
def test_positions_that_are_none(capsys, world, tmp_path, content, line):
    (tmp_path / "p.json").write_text(content)
    with pytest.raises(ServiceError):
        Position(tmp_path / "p.json")
    code, out, err = run(capsys, "--position", "p.json")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"thermo: p.json {line}")
    assert (tmp_path / "p.json").read_text() == content


def test_rooms(capsys, world, tmp_path):
    assert read_rooms(None) == {}
    (tmp_path / "r.json").write_text('{"t1": {"zone1": "kitchen"}}')
    assert run(capsys, "--rooms", "r.json", "--seconds", 0.01)[0] == 0
    assert world.rooms == {"t1": {"zone1": "kitchen"}}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "cannot be read ("),
        ("\xff", "cannot be read ("),
        ("7", "is not a JSON object; correct the file"),
        ('{"t1": "kitchen"}', 'is not understood; write {"DEVICE": {"COMPONENT": "ROOM"}}'),
        ('{"t1": {"zone1": 1}}', 'is not understood; write {"DEVICE": {"COMPONENT": "ROOM"}}'),
    ],
)
def test_rooms_that_are_none(capsys, world, tmp_path, content, line):
    if content is not None:
        (tmp_path / "r.json").write_text(content, "latin-1")
    code, out, err = run(capsys, "--rooms", "r.json")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"thermo: r.json {line}")
    assert HOST not in err
