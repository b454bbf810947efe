"""`thermo doctor` on boards that are well, bare, half installed, ill, and not there."""

import json
import secrets
import subprocess

import pytest
from board_setup import fresh_key, installed_board, lines_of
from doubles.device_certificates import DAY, DER, NOW, certificate, new_key
from pseudo_board import PseudoBoard
from terminal import environment, thermo

from host_tools.slot import marker

PASSWORD = f"wifi-{secrets.token_hex(8)}"
WIFI = {"ssid": "home", "password": PASSWORD}


def examine(board, *arguments):
    """Exit code, and the findings by their part; of several the last."""
    command = thermo("doctor", "--port", board.port, "--json", *arguments)
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=90)
    assert done.stderr == ""
    assert PASSWORD not in done.stdout
    findings = json.loads(done.stdout)
    for finding in findings:
        assert bool(finding["advice"]) == (finding["state"] != "ok")
    return done.returncode, {finding["part"]: finding for finding in findings}


def configuration(key, **members):
    string = f"HostName=localhost;DeviceId=d;SharedAccessKey={key}"
    return json.dumps(
        {"version": 1, "wifi": WIFI, "connection_string": string, **members}
    ).encode()


@pytest.fixture
def key():
    return fresh_key()


def test_a_board_that_is_well_is_told_so_and_goes_on(tmp_path, key):
    later = certificate(new_key(), "ca", end=NOW + 800 * DAY, encoding=DER)
    files = {
        "/config.json": configuration(key, root_certificates=["ca.der"]),
        "/ca.der": later,
    }
    with installed_board(tmp_path / "board", files) as board:
        start = board.wait_for("up a")
        code, found = examine(board)
        board.wait_for("up a", start=start)
    assert [each for each in found.values() if each["state"] != "ok"] == []
    assert code == 0
    assert {"host", "port", "MicroPython", "software", "flash", "board", "starts"} <= set(found)
    assert {"crashes", "credentials", "Wi-Fi", "clock", "DNS", "TLS"} <= set(found)
    for zone, kind in (("thermostat1", "sht4x"), ("thermostat2", "bme280")):
        assert found[zone]["text"].startswith(f"{kind}: ")
        assert "°C" in found[zone]["text"]
    assert board.hard_resets == ["software"]
    assert key not in json.dumps(found)


def test_a_bare_board_is_told_what_to_do_first(tmp_path):
    with PseudoBoard(tmp_path / "board", has_house=False) as board:
        code, found = examine(board)
    assert code == 1
    assert found["MicroPython"]["state"] == "ok"
    for part, advice in (
        ("software", "deploy"),
        ("board", "deploy"),
        ("credentials", "provision"),
    ):
        assert found[part]["state"] == "bad"
        assert advice in found[part]["advice"]
    assert found["TLS"]["text"] == "no root certificate to verify a hub by"


def test_a_board_that_is_ill_in_many_ways(tmp_path, key):
    soon = certificate(new_key(), "ca", end=NOW + 100 * DAY, encoding=DER)
    zones = [
        {"name": "thermostat1", "sensor": "sht4x", "bus": 0, "address": 0x45},
        {"name": "thermostat2", "sensor": "bme280", "bus": 7},
    ]
    files = {
        "/config.json": configuration(key, root_certificates=["ca.der"], zones=zones),
        "/ca.der": soon,
        "/crash.txt": b"crash, slot a, start 3: ValueError\n",
        "/boots": b"2",
        "/slot": marker("a", "trial"),
        "/a/thermostat/cloud.mpy": b"damaged",
        "/main.py": b"print('not ours')\n",
    }
    with installed_board(tmp_path / "board", files) as board:
        board.wait_for("not ours")
        code, found = examine(board)
    assert code == 1
    assert "not as it was deployed: thermostat/cloud.mpy" in found["software"]["text"]
    assert found["starts"]["state"] == "warning"
    assert found["crashes"]["text"].endswith("ValueError")
    assert found["TLS"]["state"] == "warning"
    assert "within a year" in found["TLS"]["advice"]
    assert found["thermostat1"]["state"] == found["thermostat2"]["state"] == "bad"
    assert "bus" in found["thermostat2"]["text"]
    assert found["credentials"]["state"] == "ok"


def test_what_is_past_or_missing_among_certificates_and_a_configuration_that_is_refused(
    tmp_path, key
):
    past = certificate(new_key(), "ca", begin=NOW - 3 * DAY, end=NOW - DAY, encoding=DER)
    with PseudoBoard(tmp_path / "board", has_house=False) as board:
        board.power_off()
        board.write("/config.json", configuration(key, root_certificates=["none.der", "ca.der"]))
        board.write("/ca.der", past)
        board.power_on()
        _, found = examine(board)
        assert found["TLS"]["text"].startswith("/ca.der has ended on")
        board.power_off()
        board.write("/config.json", configuration(key[:-2]))
        board.power_on()
        _, found = examine(board)
        assert "not base64" in found["credentials"]["text"]
        assert key[:-2] not in json.dumps(found)
        board.power_off()
        board.write("/config.json", b'{"version": 1,')
        board.power_on()
        _, found = examine(board)
        assert "is not JSON" in found["credentials"]["text"]


def test_no_board(tmp_path):
    class Nothing:
        port = str(tmp_path / "nothing")

    code, found = examine(Nothing)
    assert code == 1
    assert found["host"]["state"] == "ok"
    assert found["port"]["state"] == "bad"


def test_for_people_it_is_a_table(tmp_path):
    with PseudoBoard(tmp_path / "board", has_house=False) as board:
        command = thermo("doctor", "--port", board.port, "--no-reset")
        done = subprocess.run(
            command, env=environment(), capture_output=True, text=True, timeout=90
        )
        assert lines_of(board).rstrip().endswith(">>>")
        assert board.hard_resets == []
    assert done.returncode == 1
    assert "MicroPython  OK      MicroPython 1." in done.stdout
    assert "→ install it: thermo deploy" in done.stdout
