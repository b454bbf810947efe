"""`thermo device, twin, query, call, send, events, jobs, dps` beside a hub and a true thermostat.

The commands run under `thermo hub exec`, as a person's would: they know nothing but their
environment.
"""

import base64
import json
from pathlib import Path

import pytest
from board_setup import fresh_key
from certificates_for_tests import Authority
from cloud_run import driven
from cryptography.hazmat.primitives import serialization

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with driven(tmp_path_factory.mktemp("work"), "--thermostat", "t1") as run_one:
        yield run_one


def test_identities(run):
    made = run("device", "create", "bedroom", "--json").json()
    assert (made["deviceId"], made["status"], made["authentication"]) == (
        "bedroom",
        "enabled",
        "sas",
    )
    assert "primaryKey" not in made
    shown = run("device", "show", "bedroom", "--show-keys", "--json").json()
    assert shown["connectionString"].endswith(f"SharedAccessKey={shown['primaryKey']}")
    assert shown["primaryKey"] not in run("device", "show", "bedroom").out
    again = run("device", "create", "bedroom")
    assert again.code == 1
    assert "refused it with 409" in again.err
    assert again.err.count("\n") == 1
    rotated = run("device", "rotate", "bedroom", "--show-keys", "--json").json()
    assert rotated["secondaryKey"] == shown["primaryKey"]
    assert rotated["primaryKey"] not in (shown["primaryKey"], shown["secondaryKey"])
    prints = run("device", "create", "by-print", "--thumbprint", "A" * 40, "--json").json()
    assert prints["authentication"] == "selfSigned"
    refused = run("device", "rotate", "by-print")
    assert "has no keys" in refused.err
    names = [each["deviceId"] for each in run("device", "list", "--json").json()]
    assert {"bedroom", "by-print", "t1"} <= set(names)
    table = run("device", "list").out
    assert "bedroom" in table
    assert "Connected" in table
    assert run("device", "delete", "bedroom", "by-print").code == 0
    gone = run("device", "show", "bedroom")
    assert (gone.code, gone.err.count("\n")) == (1, 1)
    assert "404" in gone.err


def test_twins_and_queries(run):
    assert run("twin", "tag", "t1", "location.floor=1", "name=the kitchen").code == 0
    done = run("twin", "set", "t1", "thermostat1.targetTemperature=22.5", "--wait", 15, "--json")
    answer = done.json()["answers"]["thermostat1.targetTemperature"]
    assert (answer["value"], answer["ac"]) == (22.5, 200)
    refused = run("twin", "set", "t1", "thermostat1.targetTemperature=99", "--wait", 15, "--json")
    assert refused.code == 3
    answers = json.loads(refused.out)["answers"]
    assert answers["thermostat1.targetTemperature"]["ac"] == 400
    assert run("twin", "set", "t1", "thermostat1.targetTemperature=null").code == 0
    shown = run("twin", "show", "t1", "--json").json()
    assert shown["tags"] == {"location": {"floor": 1}, "name": "the kitchen"}
    assert shown["modelId"] == "dtmi:com:example:TemperatureController;1"
    page = run("twin", "show", "t1").out
    assert "thermostat1.targetTemperature" in page
    assert "tag location.floor = 1" in page
    rows = run("query", "SELECT * FROM devices WHERE tags.location.floor = 1", "--json").json()
    assert [row["deviceId"] for row in rows] == ["t1"]
    rows = run("query", "SELECT deviceId, connectionState FROM devices", "--json").json()
    assert {"deviceId": "t1", "connectionState": "Connected"} in rows
    table = run("query", "SELECT deviceId, tags.name AS called FROM devices").out
    assert "the kitchen" in table
    assert run("query", "SELECT COUNT() AS n FROM devices", "--json").json()[0]["n"] >= 2
    wrong = run("query", "SELECT FROM")
    assert wrong.code == 1
    assert "400" in wrong.err
    odd = run("twin", "set", "t1", "nothing")
    assert (odd.code, odd.err.count("\n")) == (1, 1)
    assert "write PATH=VALUE" in odd.err
    watched = run("twin", "watch", "t1", "--seconds", 1, "--interval", 0.3)
    assert watched.code == 0


def test_commands(run):
    report = run("call", "t1", "thermostat1*getMaxMinReport", "2026-01-01T00:00:00Z", "--json")
    assert report.json()["status"] == 200
    assert report.json()["payload"]["maxTemp"] > -50
    unknown = run("call", "t1", "dance", "--json")
    assert unknown.code == 3
    assert json.loads(unknown.out)["status"] == 404
    away = run("call", "nobody", "dance")
    assert (away.code, away.err.count("\n")) == (1, 1)


def test_messages(run):
    taken = run(
        "send", "t1", "good night", "--ack", "full", "--wait", 30, "-P", "level=high", "--json"
    )
    assert taken.json()["outcome"] == "Success"
    waiting = run("send", "exec-device", "later", "--expire", 600, "--json")
    assert waiting.json()["outcome"] is None
    assert run("device", "show", "exec-device", "--json").json()["cloudToDeviceMessageCount"] == 1
    assert run("send", "t1", "x", "--ack", "perhaps").code == 1
    assert run("send", "t1", "x", "--wait", 5).code == 1
    nobody = run("send", "nobody", "x")
    assert (nobody.code, nobody.err.count("\n")) == (1, 1)


def test_events(run):
    found = run("events", "--since", "start", "--count", 3, "--seconds", 40, "--json")
    assert found.code == 0, found.err
    lines = [json.loads(line) for line in found.out.splitlines()]
    assert len(lines) == 3
    assert all(each["device"] == "t1" for each in lines)
    assert any(isinstance(each["body"], dict) for each in lines)
    text = run("events", "--since", "1h", "--count", 1, "--seconds", 40)
    assert "t1" in text.out
    none = run("events", "--device", "exec-device", "--count", 1, "--seconds", 1)
    assert none.code == 1
    assert run("events", "--since", "yesterday").code == 1


def test_jobs(run):
    run("twin", "tag", "t1", "group=jobs")
    where = "tags.group = 'jobs'"
    done = run(
        *("jobs", "set", "thermostat1.targetTemperature=20", "tags.by=job"),
        *("--where", where, "--wait", 30, "--id", "first", "--json"),
    ).json()
    assert (done["status"], done["devices"], done["succeeded"]) == ("completed", 1, 1)
    assert run("twin", "show", "t1", "--json").json()["tags"]["by"] == "job"
    called = run("jobs", "call", "dance", "--where", where, "--wait", 30, "--json")
    found = json.loads(called.out)
    # That the device answers 404 is its answer
    assert found["devices"] == 1
    assert "first" in [each["jobId"] for each in run("jobs", "list", "--json").json()]
    assert run("jobs", "show", "first", "--json").json()["status"] == "completed"
    assert run("jobs", "show", "nothing").code == 1


def test_enrolments(run, tmp_path):
    made = run("dps", "create", "stove-1", "stove-2", "--show-keys", "--json").json()
    assert [each["name"] for each in made] == ["stove-1", "stove-2"]
    assert all(len(base64.b64decode(each["primaryKey"])) == 64 for each in made)
    assert made[0]["primaryKey"] not in run("dps", "show", "stove-1").out
    group = run("dps", "create", "all", "--group", "--desired", "targetTemperature=19", "--json")
    assert group.json()[0]["attestation"] == "symmetricKey"
    authority = Authority("Works").certificate.public_bytes(serialization.Encoding.PEM)
    (tmp_path / "works.pem").write_bytes(authority)
    by_print = run("dps", "create", "works", "--group", "--certificate", tmp_path / "works.pem")
    assert by_print.code == 0, by_print.err
    assert [each["name"] for each in run("dps", "list", "--group", "--json").json()] == [
        "all",
        "works",
    ]
    assert len(run("dps", "list", "--json").json()) == 2
    assert run("dps", "create", "stove-1").code == 1
    assert run("dps", "delete", "stove-1", "stove-2").code == 0
    assert run("dps", "list", "--json").json() == []
    key = tmp_path / "group.key"
    key.write_text(fresh_key())
    key.chmod(0o600)
    derived = run("dps", "derive-key", "--registration-id", "stove-7", "--from", key)
    assert len(base64.b64decode(derived.out)) == 32
