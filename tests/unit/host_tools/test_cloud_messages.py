"""`thermo call`, `send`, `events`: what is asked of the hub, what is shown, and the exit code."""

import contextlib
import datetime
import io
import json
import sys

import pytest
from doubles.service_clients import (
    EVENTS,
    HOST,
    SERVICE,
    VARIABLES,
    Client,
    reading,
    refusal,
    thing,
)

from host_tools import cli
from host_tools.cloud import message_commands

EVENT = {
    "time": "2026-11-27T10:11:12.5+00:00",
    "device": "t1",
    "component": "thermostat1",
    "source": "Telemetry",
    "body": {"temperature": 21.5},
}


@pytest.fixture
def hub(monkeypatch):
    """The hub's registry and its messages' feedback, in one."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IOTHUB_CONNECTION_STRING", SERVICE)
    monkeypatch.setenv("EVENT_HUB_CONN_STR", EVENTS)
    found = Client()
    found.protocol = thing(cloud_to_device_messages=found)
    for kind in ("RegistryManager", "HttpRuntimeManager"):
        monkeypatch.setattr(f"azure.iot.hub.IoTHub{kind}.from_connection_string", lambda _: found)
    monkeypatch.setattr(message_commands, "_FEEDBACK_PAUSE_S", 0)
    return found


def run(capsys, *arguments):
    code = cli.main([str(each) for each in arguments])
    out, err = capsys.readouterr()
    return code, out, err


# ---- call


@pytest.mark.parametrize(
    ("status", "payload", "code", "out"),
    [
        (200, {"max": 22}, 0, '{\n  "max": 22\n}\n'),
        (299, None, 0, ""),
        (300, None, 3, ""),
        (404, "no such command", 3, '"no such command"\n'),
    ],
)
def test_a_command_and_its_answer(capsys, hub, status, payload, code, out):
    hub.answers["invoke_device_method"] = thing(status=status, payload=payload)
    assert run(capsys, "call", "t1", "reboot", "3") == (code, out, f"status {status}\n")
    ((device, request),) = hub.asked("invoke_device_method")
    assert (device, request.method_name, request.payload) == ("t1", "reboot", 3)
    got, out, err = run(capsys, "call", "t1", "reboot", "--json")
    assert (got, json.loads(out), err) == (code, {"status": status, "payload": payload}, "")
    assert hub.asked("invoke_device_method")[1][1].payload is None


def test_a_device_that_is_away_is_told_in_a_line(capsys, hub):
    hub.answers["invoke_device_method"] = refusal(404, '{"Message": "not online"}')
    code, out, err = run(capsys, "call", "t1", "reboot")
    assert (code, out) == (1, "")
    assert err.startswith(f"thermo: {HOST} refused it with 404 (not online); check the name")


def test_a_call_that_ctrl_c_ends(capsys, hub):
    hub.answers["invoke_device_method"] = KeyboardInterrupt()
    assert run(capsys, "call", "t1", "reboot") == (130, "", "")


def test_a_terminal_sees_that_something_is_waited_for(capsys, hub, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    hub.answers["invoke_device_method"] = thing(status=200, payload=None)
    code, _, err = run(capsys, "call", "t1", "reboot")
    assert code == 0
    assert "calling reboot" in err


# ---- send


def test_a_message_with_all_that_it_may_have(capsys, hub):
    words = ["--property", "level=high", "-P", "a=b=c", "--correlation-id", "c7", "--expire", 60]
    code, out, err = run(capsys, "send", "t1", "wake up", *words, "--message-id", "m1")
    assert (code, out, err) == (0, "", "message m1 waits for t1\n")
    ((device, body, given),) = hub.asked("send_c2d_message")
    expiry_ms = given.pop("expiryTimeUtc")
    now_ms = datetime.datetime.now(datetime.timezone.utc).timestamp() * 1000
    assert 30_000 < expiry_ms - now_ms < 61_000
    assert (device, body) == ("t1", "wake up")
    assert given == {"level": "high", "a": "b=c", "correlationId": "c7", "messageId": "m1"}


def test_a_message_from_standard_input(capsys, hub, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("grün".encode()), "utf-8"))
    assert run(capsys, "send", "t1", "-")[0] == 0
    assert hub.asked("send_c2d_message")[0][1] == "grün"


@pytest.mark.parametrize(
    ("arguments", "code", "line"),
    [
        (["x", "--ack", "perhaps"], 1, "thermo: --ack perhaps is not known; choose none, "),
        (["x", "--wait", "5"], 1, "thermo: --wait waits for feedback; ask for it with --ack full"),
        (["x", "-P", "level"], 1, "thermo: --property level is not understood; write NAME=VALUE"),
        (["x", "-P", "=high"], 1, "thermo: --property =high is not understood; write NAME"),
        (["x", "--expire", "0"], 2, "thermo: invalid value for '--expire'"),
        (["x", "--expire", "inf"], 1, "thermo: --expire inf is no time; give seconds"),
        (["x", "--expire", "nan"], 2, "thermo: invalid value for '--expire'"),
        (["-"], 1, "thermo: standard input is no text in UTF-8; "),
    ],
)
def test_messages_that_cannot_be(capsys, hub, monkeypatch, arguments, code, line):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe"), "utf-8"))
    got, out, err = run(capsys, "send", "t1", *arguments)
    assert (got, out, err.count("\n")) == (code, "", 1)
    assert err.startswith(line)
    assert not hub.calls


def batch(*records, status=200, is_text_called=False):
    text = json.dumps(records)
    found = thing(
        status_code=status,
        text=(lambda: text) if is_text_called else text,
        headers={"ETag": '"lock1"'},
    )
    return thing(response=found)


MINE = {"originalMessageId": "m1", "description": "Success"}
EXPIRED = {"originalMessageId": "m1", "statusCode": 1}
OTHER = {"originalMessageId": "m0", "description": "Expired"}
NOTHING = batch(status=204)


@pytest.mark.parametrize(
    ("batches", "code", "out", "err"),
    [
        ([batch(MINE)], 0, "Success", ""),
        ([NOTHING, batch(MINE, is_text_called=True)], 0, "Success", ""),
        ([batch(EXPIRED)], 3, "1", ""),
        ([batch(OTHER), batch(OTHER, MINE)], 0, "Success", "of another message, m0: Expired"),
        ([NOTHING], 3, "nothing was heard in time", ""),
    ],
)
def test_what_became_of_a_message(capsys, hub, batches, code, out, err):
    hub.answers["receive_feedback_notification"] = batches
    words = ["--ack", "full", "--wait", 0.2, "--message-id", "m1"]
    got, told, remarks = run(capsys, "send", "t1", "x", *words)
    assert (got, told) == (code, out + "\n")
    assert err in remarks
    assert hub.asked("send_c2d_message")[0][2]["iothub-ack"] == "full"
    taken = hub.asked("complete_feedback_notification")
    assert all(each == ["lock1"] for each in taken)
    assert bool(taken) == (batches != [NOTHING])


def test_what_became_of_a_message_for_programs(capsys, hub):
    hub.answers["receive_feedback_notification"] = batch(MINE)
    words = ["--ack", "full", "--wait", 5, "--message-id", "m1", "--json"]
    code, out, _ = run(capsys, "send", "t1", "x", *words)
    assert (code, json.loads(out)) == (0, {"messageId": "m1", "outcome": "Success"})


# ---- events


@pytest.fixture
def stream(monkeypatch, hub):
    """What comes, exceptions among it; and what was asked for."""
    found = thing(coming=[], asked=[])

    def note(connection, group, start):
        found.asked.append((connection.events.reveal(), group, start))

    monkeypatch.setattr(message_commands, "read_events", reading(found, note))
    return found


def test_events_as_lines(capsys, stream):
    change = {**EVENT, "component": "", "source": "twinChangeEvents", "body": "a text"}
    stream.coming = [EVENT, {**EVENT, "device": "t2"}, change, EVENT]
    code, out, err = run(capsys, "events", "--device", "t1", "--count", 2, "--group", "mine")
    assert (code, err) == (0, "")
    assert out == (
        '10:11:12  t1/thermostat1  {"temperature": 21.5}\n'
        "10:11:12  t1 [twinChangeEvents]  a text\n"
    )
    assert stream.asked == [(EVENTS, "mine", "@latest")]


def test_events_for_programs_until_ctrl_c(capsys, stream):
    stream.coming = [EVENT, KeyboardInterrupt()]
    code, out, err = run(capsys, "events", "--json", "--since", "start")
    assert (code, json.loads(out), err) == (0, EVENT, "")
    assert stream.asked[0][2] == "-1"


def test_events_that_do_not_come_in_time(capsys, stream):
    assert run(capsys, "events", "--count", 1, "--seconds", 0.01) == (1, "", "")
    assert run(capsys, "events", "--seconds", 0.01) == (0, "", "")


def test_what_is_wrong_with_the_stream_is_a_line(capsys, stream):
    stream.coming = [ConnectionError("gone")]
    code, out, err = run(capsys, "events")
    assert (code, out) == (1, "")
    assert err.startswith(f"thermo: the hub {HOST} cannot be reached (gone); ")


@pytest.mark.parametrize(
    ("since", "seconds"), [("30s", 30), ("10m", 600), ("2h", 7200), ("1d", 86400)]
)
def test_from_when_on(capsys, stream, since, seconds):
    run(capsys, "events", "--since", since, "--seconds", 0.01)
    now = datetime.datetime.now(datetime.timezone.utc)
    assert abs((now - stream.asked[0][2]).total_seconds() - seconds) < 5


@pytest.mark.parametrize("since", ["yesterday", "10", "m", "-1m", "1234567d", ""])
def test_from_no_time(capsys, stream, since):
    code, out, err = run(capsys, "events", "--since", since)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"thermo: --since {since} is not understood; write now, start, 30s")


def test_on_a_terminal_each_device_has_a_line_with_its_count(capsys, stream, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    stream.coming = [EVENT, EVENT, {**EVENT, "device": "t2", "body": "[red]"}]
    code, out, _ = run(capsys, "events", "--seconds", 0.01)
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert ["t1", "thermostat1", "2", "10:11:12", '{"temperature":', "21.5}"] in rows
    assert ["t2", "thermostat1", "1", "10:11:12", "[red]"] in rows


@pytest.mark.parametrize(
    ("body", "line", "document"),
    [
        ("\x1b[2J\x9b2J", r"\x1b[2J\x9b2J", r'"\u001b[2J\u009b2J"'),
        ("two\nlines", r"two\nlines", r'"two\nlines"'),
        ({"a": "\ud800"}, r'{"a": "\ud800"}', r'{"a": "\ud800"}'),
        ("\ud800", r"\ud800", r'"\ud800"'),
        ("grün, 21 °C", "grün, 21 °C", '"grün, 21 °C"'),
    ],
)
def test_a_device_paints_no_terminal_and_stops_no_reader(capsys, stream, body, line, document):
    stream.coming = [{**EVENT, "body": body}]
    code, out, err = run(capsys, "events", "--count", 1)
    assert (code, out, err) == (0, f"10:11:12  t1/thermostat1  {line}\n", "")
    code, out, err = run(capsys, "events", "--count", 1, "--json")
    assert (code, out.endswith(f'"body": {document}}}\n'), err) == (0, True, "")
    assert json.loads(out)["body"] == body


def test_the_place_paints_no_terminal_either(capsys, stream):
    stream.coming = [{**EVENT, "component": "\x1b[2J"}]
    assert "t1/\\x1b[2J  " in run(capsys, "events", "--count", 1)[1]


def test_a_reader_that_leaves_is_no_news(hub, stream, capsys, monkeypatch):
    class Gone(io.StringIO):
        def write(self, _):
            raise BrokenPipeError

        def fileno(self):
            return 1

    stream.coming = [EVENT]
    monkeypatch.setattr("os.dup2", lambda one, other: None)
    with contextlib.redirect_stdout(Gone()):
        code = cli.main(["events"])
    assert (code, capsys.readouterr().err) == (1, "")
