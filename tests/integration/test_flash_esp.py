"""`thermo flash` for ESP32: the true esptool, over the network's serial port, to a played chip."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import fake_esp_loader as loader
import pytest
from doubles.stock_images import ESP32, ESP32_S3, esp_stock, rp2_stock
from esptool import cmds
from fake_esp_loader import FakeEspLoader, PulledError

from host_tools import cli, flash_commands
from host_tools.ports import ESPRESSIF, RASPBERRY_PI, Port

# pyserial's client of RFC 2217 still names its threads in the old way
pytestmark = pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")
STOCK = esp_stock()
BRIDGE = 0x10C4


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    loader.hasten(monkeypatch)


@pytest.fixture
def board() -> Iterator[FakeEspLoader]:
    found = FakeEspLoader()
    yield found
    found.pull()


def saved(folder: Path, content: bytes = STOCK) -> str:
    path = folder / "firmware.bin"
    path.write_bytes(content)
    return str(path)


def flash(*arguments: str) -> int:
    return cli.main(["flash", *arguments])


def pull_at(operation: int, wanted: int) -> Callable[[int, int], None]:
    def on_command(found: int, count: int) -> None:
        if (found, count) == (operation, wanted):
            raise PulledError

    return on_command


@pytest.mark.parametrize("erase", [False, True])
@pytest.mark.parametrize(("chip", "chip_id", "start"), [("ESP32", 0, 0x1000), ("ESP32-S3", 9, 0)])
def test_the_flash_equals_the_image(
    chip: str,
    chip_id: int,
    start: int,
    erase: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    board = FakeEspLoader(chip)
    before = b"\xff" if erase else b"\xa5"
    content = esp_stock(chip_id)
    arguments = [saved(tmp_path, content), "--port", board.plug()]
    assert flash(*arguments, *(["--erase"] if erase else [])) == 0
    board.pull()

    assert board.flash[start : start + len(content)] == content
    assert board.flash[:start] == before * start
    assert board.flash[-4096:] == before * 4096
    # Reset into the loader by RTS and DTR, and out of it at the end
    assert board.starts == ["rom", "app"]
    assert f"is on the {chip} at rfc2217://" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("operation", "count", "touched"),
    [
        (loader.SYNC, 1, False),
        (loader.READ_REG, 1, False),
        (loader.MEM_BEGIN, 1, False),
        (loader.MEM_DATA, 2, False),
        (loader.MEM_END, 1, False),
        (loader.CHANGE_BAUDRATE, 1, False),
        (loader.DEFL_BEGIN, 1, True),
        (loader.DEFL_DATA, 1, True),
        (loader.DEFL_DATA, 3, True),
        (loader.DEFL_END, 1, True),
        (loader.MD5, 1, True),
    ],
)
def test_a_pulled_cable_is_told_and_the_same_command_mends_it(
    operation: int,
    count: int,
    touched: bool,
    board: FakeEspLoader,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    board.on_command = pull_at(operation, count)
    arguments = [saved(tmp_path), "--port", board.plug()]
    assert flash(*arguments) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len([line for line in lines if line.startswith("thermo:")]) == 1
    assert ("the same command again mends it" in lines[-1]) is touched
    assert ("nothing on the board was changed" in lines[-1]) is not touched
    assert not any("Done" in line for line in lines)

    board.pull()
    board.on_command = lambda operation, count: None
    board.plug()
    assert flash(*arguments) == 0
    assert board.flash[0x1000 : 0x1000 + len(STOCK)] == STOCK


def test_flash_that_does_not_keep_what_was_written_is_found(
    board: FakeEspLoader, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def forget(operation: int, count: int) -> None:
        if operation == loader.MD5:
            board.flash[0x5000] ^= 0x40

    board.on_command = forget
    assert flash(saved(tmp_path), "--port", board.plug()) == 1
    told = capsys.readouterr().err
    assert "MD5 of file does not match" in told
    assert "the same command again mends it" in told


def test_a_block_that_arrives_damaged_is_sent_again(board: FakeEspLoader, tmp_path: Path) -> None:
    def damage(operation: int, count: int) -> None:
        board.refuse_blocks = int(operation == loader.DEFL_DATA and count == 2)

    board.on_command = damage
    assert flash(saved(tmp_path), "--port", board.plug()) == 0
    assert board.commands[loader.DEFL_DATA] == 5
    assert board.flash[0x1000 : 0x1000 + len(STOCK)] == STOCK


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (esp_stock(ESP32_S3), "the image is for ESP32-S3, and this board has ESP32"),
        (esp_stock(ESP32, flash_size_code=3), "is for 8 MB of flash, and this board has 4 MB"),
    ],
)
def test_an_image_for_another_board_changes_nothing(
    content: bytes,
    told: str,
    board: FakeEspLoader,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert flash(saved(tmp_path, content), "--port", board.plug()) == 1
    assert told in capsys.readouterr().err
    assert board.flash == b"\xa5" * len(board.flash)
    assert board.starts == ["rom", "app"]


@pytest.mark.parametrize(
    ("content", "more", "told"),
    [
        (STOCK[:-100], (), "is not whole: its program is cut off"),
        (STOCK[:0x20] + b"?" + STOCK[0x21:], (), "is damaged: the checksum of its bootloader"),
        (b"<html>", (), "no firmware image"),
        (STOCK, ("--board", "ESP32_GENERIC_S3"), "and ESP32_GENERIC_S3 has ESP32-S3"),
        (STOCK, ("--board", "ESP32_GENERIC_X"), "there is no board 'ESP32_GENERIC_X'"),
        (rp2_stock(), ("--board", "ESP32_GENERIC"), "is for RP2040, and ESP32_GENERIC has ESP32"),
    ],
)
def test_what_is_no_image_for_the_board_is_refused_before_it_is_touched(
    content: bytes,
    more: tuple[str, ...],
    told: str,
    board: FakeEspLoader,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert flash(saved(tmp_path, content), "--port", board.plug(), *more) == 1
    assert told in capsys.readouterr().err
    assert board.starts == []


def test_a_board_that_does_not_answer_is_told(
    board: FakeEspLoader,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    board.silent = True
    monkeypatch.setattr(cmds.detect_chip, "__defaults__", (*cmds.detect_chip.__defaults__[:-1], 1))
    assert flash(saved(tmp_path), "--port", board.plug()) == 1
    told = capsys.readouterr().err
    assert "does not answer; hold BOOT while it starts" in told
    assert "nothing on the board was changed" in told


def test_a_port_that_another_program_has_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    controller, terminal = pty.openpty()
    try:
        fcntl.flock(terminal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert flash(saved(tmp_path), "--port", os.ttyname(terminal)) == 1
    finally:
        os.close(controller)
        os.close(terminal)
    assert "another program has it; close that" in capsys.readouterr().err


def test_a_port_that_is_not_there_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert flash(saved(tmp_path), "--port", str(tmp_path / "ttyUSB7")) == 1
    assert "there is no such port" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ports", "told"),
    [
        ([], "no board is found"),
        ([Port("/dev/ttyACM0", RASPBERRY_PI, "Pico")], "no board is found"),
        (
            [Port("COM3", BRIDGE, "CP2102"), Port("COM4", ESPRESSIF, "USB JTAG")],
            "there are 2 boards: COM3 (CP2102), COM4 (USB JTAG); choose one with --port",
        ),
    ],
)
def test_no_board_or_several_are_told(
    ports: list[Port],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(flash_commands, "list_ports", lambda: ports)
    assert flash(saved(tmp_path)) == 1
    assert told in capsys.readouterr().err


def test_the_only_board_is_taken(
    board: FakeEspLoader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = [Port(board.plug(), BRIDGE, "CP2102"), Port("/dev/ttyACM0", RASPBERRY_PI, "Pico")]
    monkeypatch.setattr(flash_commands, "list_ports", lambda: ports)
    assert flash(saved(tmp_path)) == 0
    assert board.flash[0x1000 : 0x1000 + len(STOCK)] == STOCK


def test_ctrl_c_leaves_a_line_about_the_board(board: FakeEspLoader, tmp_path: Path) -> None:
    hasty = (
        "import sys, serial.rfc2217, fake_esp_loader\n"
        "from host_tools import cli\n"
        "serial.rfc2217.time = fake_esp_loader.hasty_time\n"
        "sys.exit(cli.main(sys.argv[1:]))\n"
    )
    arguments = ["flash", saved(tmp_path), "--port", board.plug()]
    process = subprocess.Popen(
        [sys.executable, "-c", hasty, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        text=True,
    )

    def interrupt(operation: int, count: int) -> None:
        if operation == loader.DEFL_DATA:
            process.send_signal(signal.SIGINT)

    board.on_command = interrupt
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command again mends it" in told.strip().splitlines()[-1]
    assert "Traceback" not in told
