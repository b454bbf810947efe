"""`thermo doctor`, without a board: what each answer is judged to be, and what is advised."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from doubles.device_certificates import DAY, DER, NOW, certificate, new_key
from doubles.keys import KEY

from host_tools import cli, doctor, doctor_commands, doctor_probes, doctor_software
from host_tools.board_link import BoardCodeError, NoBoardError
from host_tools.finding import BAD, OK, WARNING, Finding
from host_tools.slot import marker
from host_tools.survey import FoundFile, Survey

STRING = f"HostName=hub.example.net;DeviceId=stove;SharedAccessKey={KEY}"
LIST = json.dumps({"version": "1.2", "files": {"board.mpy": "ab"}}).encode()


class FakeBoard:
    """Answers probes with what `answers` has for them, and has `files`; all is well at first."""

    port = "/dev/ttyTEST"

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.link: Any = self
        self.answers: dict[str, str | BoardCodeError] = {
            doctor_probes.BOARD: '["RPI_PICO_W", "power on", 60000]',
            doctor_probes.NETWORK: '[true, "home, -60 dBm"]',
            doctor_probes.CLOCK: str(time.time()),
            doctor_probes.name_lookup("hub.example.net", 8883): "true",
            doctor_probes.measurement("sht4x", 0, None): '[2150, ""]',
            doctor_probes.measurement("bme280", 1, None): '[1900, ""]',
        }
        ca = certificate(new_key(), "ca", end=NOW + 4000 * DAY, encoding=DER)
        self.files = {"/a/roots/ca.der": ca, "/a/files.json": LIST, **(files or {})}

    def configure(self, **members: object) -> None:
        self.files["/config.json"] = json.dumps({"version": 1, **members}).encode()

    def run(self, probe: str) -> str:
        answer = self.answers[probe]
        if isinstance(answer, BoardCodeError):
            raise answer
        return "noise of the app\n" + answer + "\n"

    def names(self, folder: str = "/") -> list[str]:
        start = folder.rstrip("/") + "/"
        rest = [name[len(start) :] for name in self.files if name.startswith(start)]
        return [name for name in rest if "/" not in name]

    def read(self, path: str) -> bytes:
        if path not in self.files:
            raise BoardCodeError(f"{path} on the board: No such file", "OSError", 2)
        return self.files[path]

    def exists(self, path: str) -> bool:
        return path in self.files


def surveyed(**members: object) -> Survey:
    """A board with whole software in slot a."""
    digest = FoundFile(1, "ab")
    names = ("/boot.py", "/main.py", "/a/files.json", "/a/board.mpy")
    facts: dict[str, Any] = {
        "machine": "Raspberry Pi Pico W with RP2040",
        "build": "RPI_PICO_W",
        "version": "1.25.0",
        "mpy": 6,
        "installed_board": "RPI_PICO_W",
        "has_umqtt": True,
        "marker": marker("a", "good"),
        "boots": b"0",
        "block_bytes": 4096,
        "free_blocks": 100,
        "folders": (),
        "files": dict.fromkeys(names, digest),
    }
    return Survey(**{**facts, **members})


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> FakeBoard:
    found = FakeBoard()
    found.configure(wifi={"ssid": "home", "password": "12345678"}, connection_string=STRING)
    survey_says(monkeypatch, surveyed())
    return found


def survey_says(monkeypatch: pytest.MonkeyPatch, found: Survey | BoardCodeError) -> None:
    def survey(_: object) -> Survey:
        if isinstance(found, BoardCodeError):
            raise found
        return found

    monkeypatch.setattr(doctor_software, "survey", survey)


def examine(board: Any) -> dict[str, Finding]:
    findings = {finding.part: finding for finding in doctor.examine_board(board)}
    assert KEY not in repr(findings)
    return findings


def judged(board: FakeBoard, part: str) -> tuple[str, str, str]:
    found = examine(board)[part]
    # Whatever is not well has an advice
    assert (found.state == OK) == (not found.advice)
    return found.state, found.text, found.advice


def test_a_board_on_which_all_is_well(board: FakeBoard) -> None:
    found = examine(board)
    assert {part for part, finding in found.items() if finding.state != OK} == set()
    assert found["thermostat1"].text == "sht4x: 21.50 °C"
    assert found["credentials"].text == "well formed: connection string"
    assert found["software"].text == "a: 1.2; a runs, its files are as deployed"


@pytest.mark.parametrize(
    ("part", "probe", "answer", "state", "text", "advice"),
    [
        ("board", doctor_probes.BOARD, '["P", "power on", 2048]', WARNING, "2 KB", "reset it"),
        ("board", doctor_probes.BOARD, "MPY: soft reboot", BAD, "makes no sense", "try again"),
        ("board", doctor_probes.BOARD, '["P", "power on"]', BAD, "makes no sense", "try again"),
        ("board", doctor_probes.BOARD, '["P", 1, null]', BAD, "makes no sense", "try again"),
        ("Wi-Fi", doctor_probes.NETWORK, '[false, ""]', BAD, "not connected", "--ssid NAME"),
        ("Wi-Fi", doctor_probes.NETWORK, '[false, "wrong"]', BAD, "wrong", "--ssid NAME"),
        ("clock", doctor_probes.CLOCK, "946684800", BAD, "off by ", "UDP port 123"),
        ("clock", doctor_probes.CLOCK, "null", BAD, "makes no sense", "try again"),
        (
            "DNS",
            doctor_probes.name_lookup("hub.example.net", 8883),
            "false",
            BAD,
            "the hub's address is not found",
            "check the hub's name",
        ),
        (
            "thermostat1",
            doctor_probes.measurement("sht4x", 0, None),
            '[null, "no answer"]',
            BAD,
            "sht4x: no answer",
            "check its wires",
        ),
        (
            "thermostat1",
            doctor_probes.measurement("sht4x", 0, None),
            '[13000, ""]',
            BAD,
            "130.00 °C",
            "no room is like that",
        ),
    ],
)
def test_an_answer_that_is_not_well(
    board: FakeBoard, part: str, probe: str, answer: str, state: str, text: str, advice: str
) -> None:
    board.answers[probe] = answer
    found = judged(board, part)
    assert found[0] == state
    assert text in found[1]
    assert advice in found[2]


def test_a_probe_that_fails_on_the_board_stops_none_of_the_others(board: FakeBoard) -> None:
    for probe in board.answers:
        board.answers[probe] = BoardCodeError("the board says: ImportError: no module named 'x'")
    found = examine(board)
    for part in ("board", "Wi-Fi", "clock", "DNS", "thermostat1", "thermostat2"):
        assert found[part].state == BAD
        assert "ImportError" in found[part].text
    assert found["TLS"].state == OK


@pytest.mark.parametrize(
    ("members", "state", "text", "advice"),
    [
        ({}, WARNING, "no identity", "thermo provision"),
        ({"connection_string": STRING}, OK, "connection string", ""),
        (
            {
                "provisioning": {
                    "host": "hub.example.net",
                    "id_scope": "0ne0",
                    "registration_id": "stove",
                    "key": KEY,
                }
            },
            OK,
            "provisioning service",
            "",
        ),
        ({"connection_string": "HostName"}, BAD, "", "or thermo provision"),
    ],
)
def test_an_identity_of_each_kind(
    board: FakeBoard, members: dict[str, object], state: str, text: str, advice: str
) -> None:
    board.configure(**members)
    found = judged(board, "credentials")
    assert found[0] == state
    assert text in found[1]
    assert advice in found[2]


def test_a_board_that_was_told_nothing(board: FakeBoard) -> None:
    del board.files["/config.json"]
    board.answers[doctor_probes.NETWORK] = '[false, ""]'
    found = examine(board)
    assert found["credentials"].text == "no configuration"
    assert (found["Wi-Fi"].state, found["Wi-Fi"].text) == (WARNING, "no network is configured")
    assert "DNS" not in found


def test_a_certificate_of_the_devices_own_and_a_zone_that_is_not_fitted(board: FakeBoard) -> None:
    board.files["/stove.der"] = certificate(
        new_key(), "stove", begin=NOW - 3 * DAY, end=NOW - DAY, encoding=DER
    )
    zones = [
        {"name": "thermostat1", "sensor": "sht4x", "relay": 0, "present": False},
        {"name": "thermostat2", "sensor": "bme280", "relay": 1, "bus": 1},
    ]
    board.configure(
        connection_string="HostName=hub.example.net;DeviceId=stove;x509=true",
        certificate="stove.der",
        private_key="stove-key.der",
        zones=zones,
    )
    found = examine(board)
    assert found["credentials"].text == "well formed: certificate"
    assert found["certificate"].state == BAD
    assert found["certificate"].text.startswith("/stove.der has ended on ")
    assert found["thermostat1"] == Finding("thermostat1", OK, "not fitted")


@pytest.mark.parametrize(
    ("content", "state", "text"),
    [
        (b"not DER", BAD, "/a/roots/ca.der is no certificate in DER"),
        (
            certificate(new_key(), "ca", end=NOW + 9 * DAY, encoding=DER),
            WARNING,
            "/a/roots/ca.der holds until ",
        ),
    ],
)
def test_a_root_that_will_not_do(board: FakeBoard, content: bytes, state: str, text: str) -> None:
    board.files["/a/roots/ca.der"] = content
    found = judged(board, "TLS")
    assert found[0] == state
    assert found[1].startswith(text)


def test_no_root_and_one_that_is_only_named(board: FakeBoard) -> None:
    del board.files["/a/roots/ca.der"]
    assert judged(board, "TLS")[1] == "no root certificate to verify a hub by"
    board.configure(root_certificates=["gone.der"])
    assert judged(board, "TLS")[1] == "/gone.der is not there"


@pytest.mark.parametrize(
    ("members", "part", "state", "text"),
    [
        ({"version": "1.24.1"}, "MicroPython", BAD, "1.24.1"),
        ({"version": "1.26.0-preview"}, "MicroPython", OK, "1.26.0"),
        ({"files": {}}, "software", BAD, "no slot has whole software"),
        ({"marker": marker("a", "trial")}, "software", WARNING, "a is on trial"),
        ({"free_blocks": 3}, "flash", WARNING, "12 KB free"),
        ({"boots": b"1"}, "starts", WARNING, "1 that have not come up yet"),
        ({"boots": b"4"}, "starts", BAD, "safe mode is near or on"),
        ({"boots": b"\xff"}, "starts", OK, "none that failed"),
        ({"boots": b"9" * 60}, "starts", OK, "none that failed"),
    ],
)
def test_what_the_survey_says(
    board: FakeBoard,
    monkeypatch: pytest.MonkeyPatch,
    members: dict[str, object],
    part: str,
    state: str,
    text: str,
) -> None:
    survey_says(monkeypatch, surveyed(**members))
    found = judged(board, part)
    assert found[0] == state
    assert text in found[1]


def test_software_without_its_scripts_or_with_another_file_or_list(
    board: FakeBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = dict(surveyed().files)
    survey_says(monkeypatch, surveyed(files={**files, "/a/board.mpy": FoundFile(1, "cd")}))
    assert judged(board, "software")[1].endswith("in a not as it was deployed: board.mpy")
    del files["/main.py"]
    survey_says(monkeypatch, surveyed(files=files))
    assert judged(board, "software")[1].endswith("boot.py or main.py is missing")
    survey_says(monkeypatch, surveyed())
    for content in (b"[1]", b"\xff{", b'{"files": 1}'):
        board.files["/a/files.json"] = content
        state, text, advice = judged(board, "software")
        assert (state, advice) == (BAD, "thermo deploy")
        assert text == "a: unknown; in a not as it was deployed: files.json"


def test_crashes_are_counted_and_the_last_one_told(board: FakeBoard) -> None:
    board.files["/crash.txt"] = b"crash, slot a: OSError\n  File x\ncrash, slot a: ValueError\n"
    state, text, advice = judged(board, "crashes")
    assert (state, text) == (WARNING, "2 kept, the last: crash, slot a: ValueError")
    assert "mpremote cat :crash.txt" in advice
    board.files["/crash.txt"] = b"\xff\xfe"
    assert judged(board, "crashes")[1] == "0 kept, the last: unreadable"


def test_a_micropython_that_cannot_be_asked_is_a_finding(
    board: FakeBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    survey_says(monkeypatch, BoardCodeError("the board says: MemoryError:"))
    state, text, advice = judged(board, "MicroPython")
    assert (state, text) == (BAD, "the board says: MemoryError:")
    assert advice == "flash it anew: thermo flash"


def test_a_python_that_is_too_old_or_new(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor.examine_host()[0].state == OK
    monkeypatch.setattr(sys, "version_info", (3, 9, 1, "final", 0))
    (found,) = doctor.examine_host()
    assert found == Finding("host", BAD, "Python 3.9.1", "use one from 3.10 to 3.13")


def test_a_port_that_is_open_only_now(tmp_path: Path) -> None:
    assert doctor.examine_port(str(tmp_path)).state == OK
    found = doctor.examine_port(str(tmp_path / "gone"))
    assert (found.state, found.advice) == (WARNING, "join the group dialout")


def test_no_board_is_a_finding_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_board(*_: object) -> None:
        raise NoBoardError("no board is found; plug it in")

    monkeypatch.setattr(doctor_commands, "stopped_board", no_board)
    assert cli.main(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found[-1] == Finding("port", BAD, "no board is found", "plug it in").document()
    assert cli.main(["doctor"]) == 1
    told, trouble = capsys.readouterr()
    assert "not OK" in told
    assert "→ plug it in" in told
    assert not trouble
