"""Secrets that nobody else has, told to everything that may be told one: nothing shows them.

What a board is told while it is provisioned, and what people then see, is in
test_board_provision.py.
"""

import json
import secrets
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from board_setup import ProcessList, fresh_key, installed_board, lines_of
from terminal import environment, thermo

from host_tools.board_link import BoardLink

ROOT = Path(__file__).resolve().parents[2]
# In place of the appliance: what ends it has the whole configuration as its text
CRASHES = """
def assemble(board):
    with open(board.data_path + "/config.json") as file:
        raise ValueError(file.read())


def forget_builders():
    pass
"""
SHOWN = 'stats {"uptime_s": 0'


def config(**members):
    return {"/config.json": json.dumps({"version": 1, **members}).encode()}


def mistakes(canary):
    """Configurations that are refused for what is secret in them."""
    cut = canary[:-3]
    yield config(connection_string=f"HostName=h;SharedAccessKey={canary}")
    yield config(connection_string=canary)
    yield config(connection_string=f"HostName=h;DeviceId=d;SharedAccessKey={cut}")
    yield config(connection_string=f"HostName=h;DeviceId=d;{cut};SharedAccessKey={canary}")
    yield config(wifi={"ssid": "home", "password": [canary]})
    yield config(wifi={"ssid": "home", "password": canary * 3})
    yield config(provisioning={"id_scope": "0ne", "registration_id": "r", "key": cut})
    yield {"/config.json": canary.encode()}


@pytest.mark.parametrize("number", range(8))
def test_a_mistake_in_a_configuration_is_told_without_it(tmp_path, number):
    canary = fresh_key()
    files = list(mistakes(canary))[number]
    with installed_board(tmp_path / "board", files) as board:
        board.wait_for(SHOWN)
        said = lines_of(board)
    assert "ERROR" in said
    assert "start again" in said
    assert canary[:-3] not in said


def test_a_crash_file_says_where_and_not_with_what(tmp_path):
    canary = fresh_key()
    files = config(connection_string=f"HostName=h;DeviceId=d;SharedAccessKey={canary}")
    files["/a/thermostat/assembly.py"] = CRASHES.encode()
    with installed_board(tmp_path / "board", files) as board:
        board.wait_for("crash, slot a, start 1")
        board.wait_for_hard_resets(1)
        board.power_off()
        crash = board.files()["/crash.txt"].decode()
        said = lines_of(board)
    assert "ValueError" in crash
    assert "assemble" in crash
    assert canary not in crash
    assert canary not in said


def test_a_running_thermostat_says_nothing_of_them(tmp_path):
    """Its log in full, what its console shows of its objects, and a hub that is not there."""
    canary, wifi = fresh_key(), f"wifi-{secrets.token_hex(8)}"
    string = f"HostName=127.0.0.99;DeviceId=d;SharedAccessKey={canary}"
    files = config(
        connection_string=string, wifi={"ssid": "home", "password": wifi}, log_level="debug"
    )
    with installed_board(tmp_path / "board", files) as board:
        start = board.wait_for("connecting to 127.0.0.99")
        with BoardLink.open(board.port) as link:
            link.transport.serial.write(b"\r")
            start = board.wait_for("thermo> ", start=start)
            for text in ("app", "app.settings", "app.cloud", "app.cloud.session", "dir(app)"):
                link.transport.serial.write(f"{text}\r".encode())
                start = board.wait_for("thermo> ", start=start)
        said = lines_of(board)
    for secret in (canary, wifi):
        assert secret not in said


def test_no_process_of_a_hub_has_one_in_its_arguments_and_no_log_shows_one(tmp_path):
    code = "import os; print(os.environ['IOTHUB_CONNECTION_STRING']); import time; time.sleep(2)"
    command = ["hub", "exec", "--thermostat", "t1", "--", sys.executable, "-c", code]
    with ProcessList() as processes:
        done = subprocess.run(
            thermo(*command),
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=90,
        )
    assert done.returncode == 0, done.stderr
    key = done.stdout.strip().rpartition("SharedAccessKey=")[2]
    assert len(key) == 44
    assert processes.commands
    assert not [each for each in processes.commands if key.encode() in each]
    assert key not in done.stderr


def test_a_wheel_takes_nothing_that_lies_about(tmp_path):
    """A folder in which somebody works has keys, a hub's state, a configuration for the PC."""
    tree = tmp_path / "tree"
    for name in ("firmware", "boards", "host_tools"):
        shutil.copytree(ROOT / name, tree / name)
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, tree)
    canary = fresh_key()
    for name in (
        ".thermo/hub.key",
        "config.json",
        "firmware/config.json",
        "firmware/config.json.bak",
        "firmware/setpoints.json",
        "firmware/device.key",
        "firmware/device.der",
        "firmware/roots/private.pem",
        "firmware/crash.txt",
        "boards/UNIX/config.json",
        "host_tools/hub/hub.sqlite3",
        "host_tools/bedroom.json",
    ):
        path = tree / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(canary)
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "wheel"]
    options = ["--no-deps", "--no-build-isolation", "-w", str(tmp_path), str(tree)]
    subprocess.run([*command, *options], check=True, timeout=100)
    (wheel,) = tmp_path.glob("*.whl")
    content = zipfile.ZipFile(wheel)
    names = content.namelist()
    assert "host_tools/_tree/firmware/boot.py" in names
    assert "host_tools/_tree/firmware/roots/digicert-global-root-g2.der" in names
    assert not [name for name in names if canary.encode() in content.read(name)]
