"""What an ESP32 or esptool has to say of a failure, in a line with what to do."""

from __future__ import annotations

import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from doubles.stock_images import ESP32, STARTS, esp_stock
from esptool.loader import ESPLoader
from esptool.logger import log
from esptool.util import FatalError
from serial import SerialException

from host_tools import file_system, flash_esp
from host_tools.flash import FlashError, Job, load_firmware

PORT = "/dev/ttyTEST"
UNTOUCHED = "nothing on the board was changed, and it was started again"


class FakeChip:
    """esptool's commands, to a chip that is always there; `calls`: what was done to it."""

    CHIP_NAME = "ESP32"
    IS_STUB = True
    ESP_CMDS = ESPLoader.ESP_CMDS

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.flash_size = "4MB"
        self.trouble: Exception | None = None
        self.stub_trouble: BaseException | None = None
        self.refusal: Exception | None = None
        self.write_trouble: Exception | None = None
        self.is_pulled = False
        self._port = SimpleNamespace(close=lambda: self.calls.append("close"))

    def change_baud(self, baud: int) -> None:
        self.calls.append(f"baud {baud}")

    def detect_chip(self, port: str, baud: int) -> FakeChip:
        if self.trouble is not None:
            raise self.trouble
        return self

    def run_stub(self, esp: FakeChip) -> FakeChip:
        if self.stub_trouble is not None:
            raise self.stub_trouble
        return self

    def attach_flash(self, esp: FakeChip) -> None:
        pass

    def detect_flash_size(self, esp: FakeChip) -> str:
        return self.flash_size

    def command(self, op: int | None = None, *_: object) -> None:
        if op == self.ESP_CMDS["ERASE_FLASH"]:
            self.calls.append("erase")
        if self.write_trouble is not None and op == self.ESP_CMDS["FLASH_DEFL_BEGIN"]:
            raise self.write_trouble

    def write_flash(self, esp: FakeChip, parts: Any, erase_all: bool) -> None:
        if self.refusal is not None:
            raise self.refusal
        if erase_all:
            esp.command(self.ESP_CMDS["ERASE_FLASH"])
        esp.command(self.ESP_CMDS["FLASH_DEFL_BEGIN"], b"")
        # As esptool does, whatever it has to say
        for tell in (log.print, log.note, log.warning, log.error):
            tell("for esptool's own command line")
        log.stage()
        log.stage(finish=True)
        log.set_verbosity("verbose")
        log.progress_bar(cur_iter=1, total_iters=2)
        self.calls.append(f"write {parts[0][0]:#x}")

    def hard_reset(self) -> None:
        if self.is_pulled:
            raise SerialException("write failed")
        self.calls.append("start again")

    def reset_chip(self, esp: FakeChip, mode: str) -> None:
        self.calls.append(mode)


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> FakeChip:
    found = FakeChip()
    monkeypatch.setattr(flash_esp, "cmds", found)
    return found


def saved(folder: Path) -> Path:
    path = folder / "stock.bin"
    path.write_bytes(esp_stock(ESP32))
    return path


def flash(tmp_path: Path, shown: list[tuple[str, int, int]], erase: bool = False) -> str:
    job = Job(lambda *what: shown.append(what))
    return flash_esp.flash_esp(load_firmware(saved(tmp_path)), PORT, job, erase=erase)


@pytest.mark.parametrize("is_stub", [True, False])
def test_written_with_its_progress_and_nothing_of_esptools_own_words(
    is_stub: bool, chip: FakeChip, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chip.IS_STUB = is_stub
    shown: list[tuple[str, int, int]] = []
    assert flash(tmp_path, shown, erase=True) == "ESP32"
    assert ("Writing to ESP32", 1, 2) in shown
    assert chip.calls == [
        *(["baud 460800"] if is_stub else []),
        "erase",
        "write 0x1000",
        "hard-reset",
        "close",
    ]
    assert capsys.readouterr() == ("", "")


def test_progress_that_nobody_waits_for_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flash_esp._Listener, "job", None)
    log.progress_bar(cur_iter=1, total_iters=2)


def test_a_chip_with_less_flash_is_left_alone(chip: FakeChip, tmp_path: Path) -> None:
    chip.flash_size = "2MB"
    with pytest.raises(FlashError, match=f"has 2 MB; {UNTOUCHED}; take the image for its flash"):
        flash(tmp_path, [])
    assert chip.calls == ["baud 460800", "start again", "close"]


def test_another_chip_is_left_alone(chip: FakeChip, tmp_path: Path) -> None:
    chip.CHIP_NAME = "ESP32-S2"
    with pytest.raises(FlashError, match=f"has ESP32-S2; {UNTOUCHED}; take the image for this"):
        flash(tmp_path, [])
    assert chip.calls == ["start again", "close"]


def test_a_chip_that_was_not_touched_runs_again_after_trouble(
    chip: FakeChip, tmp_path: Path
) -> None:
    """It waited in its loader, and the room without its thermostat."""
    chip.stub_trouble = FatalError("Failed to write to target RAM")
    with pytest.raises(FlashError, match=f"target RAM; {UNTOUCHED}$"):
        flash(tmp_path, [])
    assert chip.calls == ["start again", "close"]


def test_a_chip_that_was_not_touched_runs_again_after_ctrl_c(
    chip: FakeChip, tmp_path: Path
) -> None:
    chip.stub_trouble = KeyboardInterrupt()
    job = Job(lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        flash_esp.flash_esp(load_firmware(saved(tmp_path)), PORT, job)
    assert chip.calls == ["start again", "close"]
    assert job.state() == UNTOUCHED


def test_a_chip_that_is_gone_cannot_be_started_again(chip: FakeChip, tmp_path: Path) -> None:
    chip.stub_trouble, chip.is_pulled = SerialException("read failed"), True
    with pytest.raises(FlashError, match=r"check the cable; nothing on the board was changed$"):
        flash(tmp_path, [])
    assert chip.calls == ["close"]


def test_a_file_system_for_another_flash_is_not_written(chip: FakeChip, tmp_path: Path) -> None:
    """It would not be mounted: MicroPython gives it all that is free in the flash it finds."""
    blocks = file_system.build({"main.py": b"1"}, 0x200000, 32)
    stock = esp_stock(vfs=None).ljust(0x200000 - STARTS[ESP32], b"\xff")
    path = tmp_path / "all.bin"
    path.write_bytes(stock + b"".join(blocks[number] for number in range(2)))
    for chip.flash_size in ("8MB", "16MB"):
        with pytest.raises(FlashError, match=r"is for 4 MB .* has (8|16) MB; .*--flash-size \1"):
            flash_esp.flash_esp(load_firmware(path), PORT, Job(lambda *_: None))
    chip.flash_size = "4MB"
    flash_esp.flash_esp(load_firmware(path), PORT, Job(lambda *_: None))
    assert "write 0x1000" in chip.calls


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (
            "Input requires chip revision v3.0 or higher (this chip is revision v1.0). "
            "Use --force to flash anyway.",
            r"\(this chip is revision v1\.0\)",
        ),
        (
            "Active security features detected, erasing flash is disabled as a safety measure. "
            "Use the force argument to override, please use with caution, otherwise it may brick "
            "your device!",
            "as a safety measure",
        ),
        (
            "Input image (length 9) at offset 0x00001000 will not fit in 4 bytes of flash. Change "
            "the flash_size argument or flashing address.",
            "will not fit in 4 bytes of flash",
        ),
        (
            "Detecting flash size is not supported in secure download mode. Need to manually "
            "specify flash size.",
            "in secure download mode",
        ),
    ],
)
@pytest.mark.parametrize("erase", [True, False])
def test_what_esptool_refuses_has_changed_nothing(
    erase: bool, refusal: str, told: str, chip: FakeChip, tmp_path: Path
) -> None:
    """And its advice for its own command is not passed on."""
    chip.refusal = FatalError(refusal)
    with pytest.raises(FlashError, match=f"{told}; {UNTOUCHED}$"):
        flash(tmp_path, [], erase=erase)
    assert chip.calls == ["baud 460800", "start again", "close"]


def test_a_flash_that_was_erased_is_told(chip: FakeChip, tmp_path: Path) -> None:
    chip.write_trouble = FatalError("Failed to enter compressed flash mode")
    shown: list[tuple[str, int, int]] = []
    with pytest.raises(FlashError, match="flash mode; the board's flash is written in part"):
        flash(tmp_path, shown, erase=True)
    assert chip.calls == ["baud 460800", "erase", "close"]
    assert [what for what, *_ in shown][-2:] == [
        "Erasing the whole flash, which takes up to two minutes",
        "Writing to ESP32",
    ]


OPENING = f"Could not open {PORT}, the port is busy or doesn't exist.\n"


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (FatalError(OPENING + "([Errno 13] Permission denied)"), "is not yours to open"),
        (FatalError(OPENING + "(PermissionError(13, 'Access is denied.'))"), "is not yours"),
        (FatalError(OPENING + "Could not exclusively lock port"), "another program has it; close"),
        (FatalError(OPENING + "([Errno 2] No such file)"), "there is no such port; see what is"),
        (FatalError(OPENING), "close that, or name another port"),
        (FatalError("Failed to connect to ESP32: timed out"), "hold BOOT while it starts"),
        (SerialException("device reports readiness to read"), "broke .*; check the cable"),
        (OSError(), r"broke \(no answer\); check the cable"),
        (struct.error("unpack requires a buffer of 4 bytes"), "unpack requires"),
    ],
)
def test_each_trouble_says_what_to_do(
    trouble: Exception, told: str, chip: FakeChip, tmp_path: Path
) -> None:
    chip.trouble = trouble
    with pytest.raises(FlashError, match=told) as caught:
        flash(tmp_path, [])
    assert str(caught.value).endswith("; nothing on the board was changed")
    assert "\n" not in str(caught.value)
