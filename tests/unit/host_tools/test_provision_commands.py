"""`thermo provision` on the command line: what is asked, and which options belong together."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from doubles.board_files import BoardFiles
from doubles.device_certificates import certificate, new_key, private
from doubles.keys import KEY

from host_tools import cli, credentials, provision_commands
from host_tools.credentials import Secret

PORT = ("--port", "/dev/ttyTEST")
STRING = f"HostName=hub.example.net;DeviceId=stove;SharedAccessKey={KEY}"
SCOPE = ("--id-scope", "0ne00001234", "--registration-id", "stove")


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> BoardFiles:
    """A bare board; nobody answers what is asked."""
    found = BoardFiles()

    @contextlib.contextmanager
    def stopped(port: str, reset: bool) -> Iterator[BoardFiles]:
        yield found

    monkeypatch.setattr(provision_commands, "stopped_board", stopped)
    answer(monkeypatch)
    return found


def answer(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """People type these without echo, one after the other; what they were asked."""
    asked: list[str] = []

    def ask(question: str) -> Secret:
        asked.append(question)
        return Secret(answers[len(asked) - 1])

    monkeypatch.setattr(credentials, "ask", ask)
    return asked


def provision(*arguments: str) -> int:
    return cli.main(["provision", *PORT, *arguments])


def configuration(board: BoardFiles) -> Any:
    return json.loads(board.contents["config.json"])


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    """A certificate of the board `stove` and its key."""
    key = new_key()
    (tmp_path / "stove.pem").write_bytes(certificate(key, "stove"))
    path = tmp_path / "stove.key"
    path.touch(0o600)
    path.write_bytes(private(key))
    return str(tmp_path / "stove.pem"), str(path)


def test_wifi_alone(
    board: BoardFiles, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = answer(monkeypatch, "12345678")
    assert provision("--ssid", "home", "--no-reset") == 0
    assert asked == ["Password of home, empty if it is open"]
    assert configuration(board)["wifi"] == {"ssid": "home", "password": "12345678"}
    told = capsys.readouterr().err
    assert "12345678" not in told
    assert told.endswith("The thermostat is stopped: reset it.\n")


@pytest.mark.parametrize("group", [KEY, ""])
def test_the_provisioning_service_by_a_group_or_the_boards_own_key(
    group: str,
    board: BoardFiles,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = answer(monkeypatch, group, KEY)
    assert provision(*SCOPE) == 0
    assert len(asked) == (1 if group else 2)
    told = configuration(board)["provisioning"]
    assert (told["id_scope"], told["registration_id"]) == ("0ne00001234", "stove")
    # The key of the group stays here
    assert (told["key"] == KEY) == (not group)
    assert KEY not in capsys.readouterr().err


def test_the_provisioning_service_by_certificate(board: BoardFiles, pair: tuple[str, str]) -> None:
    assert provision(*SCOPE, "--certificate", pair[0], "--private-key", pair[1]) == 0
    found = configuration(board)
    assert "key" not in found["provisioning"]
    assert {found["certificate"], found["private_key"], "config.json"} == set(board.contents)


def test_a_hub_by_certificate(board: BoardFiles, pair: tuple[str, str]) -> None:
    options = ("--certificate", pair[0], "--private-key", pair[1])
    assert provision(*options, "--host-name", "hub.example.net", "--device-id", "stove") == 0
    assert "DeviceId=stove" in configuration(board)["connection_string"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "there is nothing to tell the board; see `thermo provision --help`"),
        (["--from", "-", "--hub", "-"], "standard input is read once; use a file"),
        (["--id-scope", "0ne0"], "--id-scope and --registration-id belong together; give both"),
        (["--registration-id", "s"], "--id-scope and --registration-id belong together"),
        ([*SCOPE, "--host-name", "h"], "the provisioning service names the hub; leave"),
        ([*SCOPE, "--certificate", "x.pem"], "--private-key belong together; give both"),
        ([*SCOPE, "--private-key", "x.key"], "--private-key belong together; give both"),
        (["--certificate", "x.pem"], "--host-name belong together; give all three"),
        (["--hub", STRING], "--hub holds a secret"),
        (["--device-id", STRING], "--device-id holds a secret"),
        (["--from", "nowhere.txt"], "nowhere.txt cannot be read"),
        (["--from", "/dev/null"], "/dev/null is not a file; name the file that holds"),
    ],
)
def test_mistakes_leave_the_board_alone(
    arguments: list[str],
    told: str,
    board: BoardFiles,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert provision(*arguments) == 1
    line = capsys.readouterr().err
    assert line.startswith("thermo: ")
    assert told in line
    assert line.count("\n") == 1
    assert KEY not in line
    assert not board.contents


def test_without_options_people_are_asked(
    board: BoardFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    names = ["home", ""]
    monkeypatch.setattr(typer, "prompt", lambda *_, **__: names.pop(0))
    answer(monkeypatch, "12345678", STRING)
    assert provision() == 0
    assert configuration(board)["connection_string"] == STRING
    assert configuration(board)["wifi"]["ssid"] == "home"
    answer(monkeypatch, "")
    before = dict(board.contents)
    assert provision() == 1
    assert board.contents == before


def test_a_configuration_that_cannot_be_kept_is_kept_until_somebody_says_fresh(
    board: BoardFiles, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    board.contents["config.json"] = b'{"version": 1,'
    answer(monkeypatch, "12345678", "12345678")
    assert provision("--ssid", "home") == 1
    assert "leave it behind with --fresh" in capsys.readouterr().err
    assert board.contents["config.json"] == b'{"version": 1,'
    assert provision("--ssid", "home", "--fresh") == 0
    assert configuration(board)["wifi"]["ssid"] == "home"


def test_set_points_stay_until_somebody_says_fresh(
    board: BoardFiles, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """They count more than the set points that a configuration gives its zones."""
    points = {f"setpoints.json{ending}": b"{}" for ending in ("", ".new", ".bak")}
    board.contents.update(points)
    answer(monkeypatch, "12345678", "12345678")
    assert provision("--ssid", "home") == 0
    assert board.contents.items() >= points.items()
    assert "no set points" not in capsys.readouterr().err
    assert provision("--ssid", "home", "--fresh") == 0
    assert not board.contents.keys() & points.keys()
    assert "no set points but those of the configuration" in capsys.readouterr().err
