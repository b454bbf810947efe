"""Lines of a board's console: recognised, drawn and counted, whatever comes."""

import json

import hypothesis
from hypothesis import strategies

from host_tools.console_lines import parse, status

STATS = {
    "heap": 102400,
    "uptime_s": 3725,
    "state": "online",
    "telemetry_sent": 12,
    "telemetry_acked": 11,
    "telemetry_dropped": 0,
    "telemetry_waiting": 1,
    "desired_acked": 2,
    "desired_rejected": 0,
    "commands_answered": 3,
    "c2d_completed": 0,
    "reconnects": 0,
}


def test_a_record_of_the_log():
    line = parse("12.345 WARNING iothub: lost: ECONNRESET; again in 3 s\r")
    assert (line.kind, line.level, line.part, line.time_s) == ("log", "WARNING", "iothub", 12.345)
    assert line.document()["message"] == "lost: ECONNRESET; again in 3 s"
    assert line.painted().plain == "12.345 WARNING iothub: lost: ECONNRESET; again in 3 s"
    assert "yellow" in [str(span.style) for span in line.painted().spans]


def test_lines_that_programs_rely_on():
    assert parse("up a").document() == {"kind": "up", "slot": "a"}
    assert parse("up -").message == "-"
    assert parse("safe mode").kind == "safe"
    assert parse("MPY: soft reboot").kind == "reset"
    assert parse("rst:0x1 (POWERON_RESET),boot:0x13").kind == "reset"
    assert parse("stats " + json.dumps(STATS)).document() == {"kind": "stats", "stats": STATS}


def test_what_only_looks_like_them_is_text():
    for text in ("up c", "stats {", "stats [1]", "x 1.000 INFO a: b", "1.0 INFO a: b", "", ">>> "):
        assert parse(text).kind == "text"
    assert parse("stats " + "[" * 100000).kind == "text"


def test_nothing_of_a_board_steers_the_terminal():
    for text in ("\x1b[2J\x07hello", "1.000 INFO a: \x1b]0;title\x07", "a\x9bb"):
        assert parse(text).painted().plain.isprintable()


@hypothesis.given(strategies.text(max_size=300))
def test_anything_is_a_line(text):
    found = parse(text)
    json.dumps(found.document())
    assert found.painted().plain.isprintable()


def test_counters_in_one_line():
    assert status(STATS) == (
        "online · up 1 h 02 min · heap 100 KB · sent 12, 11 acked, 1 waiting · commands 3 · "
        "desired 2 · reconnects 0"
    )
    assert status({}) == ""
    assert status({"heap": "x", "uptime_s": None, "telemetry_sent": True}) == ""
    assert status({"uptime_s": 5}) == "up 5 s"
    assert status({"uptime_s": 3 * 86400}) == "up 3 days"
