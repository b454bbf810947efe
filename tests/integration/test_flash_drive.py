"""`thermo flash` for RP2 boards: a folder plays the BOOTSEL drive, a terminal the prompt."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pty
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from doubles.stock_images import esp_stock, rp2_stock

from host_tools import cli, file_system, flash_commands, flash_drive, uf2
from host_tools.chips import XIP_BASE
from host_tools.ports import RASPBERRY_PI, Port
from host_tools.slot import Slot, list_text

STOCK = rp2_stock()
BACK = Port("/dev/ttyACM9", RASPBERRY_PI, "MicroPython")


class FakeDrive:
    """A board with its BOOTSEL button held: takes the file that is copied, then goes away.

    takes: does it take a file? starts: does MicroPython come up then?
    """

    def __init__(self, folder: Path, board_id: str = "RPI-RP2") -> None:
        self.folder = folder
        self.board_id = board_id
        self.taken = b""
        self.takes = self.starts = True
        self.ports: list[Port] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def appear(self) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "INDEX.HTM").write_text("<html>")
        about = f"UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: {self.board_id}\n"
        (self.folder / "INFO_UF2.TXT").write_text(about)

    def start(self) -> None:
        self.appear()
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join(10)

    def _run(self) -> None:
        while not self._stopped.wait(0.01):
            for path in self.folder.glob("*.uf2"):
                self._look(path.read_bytes())

    def _look(self, content: bytes) -> None:
        if self.takes and self._is_complete(content):
            self.taken = content
            self._go()
            if self.starts:
                self.ports.append(BACK)

    def _is_complete(self, content: bytes) -> bool:
        try:
            uf2.parse_uf2(content)
        except uf2.Uf2Error:
            return False
        return True

    def _go(self) -> None:
        self.vanish()
        self._stopped.set()

    def vanish(self) -> None:
        for path in list(self.folder.iterdir()):
            path.unlink()


@pytest.fixture
def drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDrive]:
    found = FakeDrive(tmp_path / "RPI-RP2")
    monkeypatch.setattr(flash_commands, "list_ports", lambda: list(found.ports))
    monkeypatch.setattr(flash_drive, "_volumes", lambda: [tmp_path / "other", found.folder])
    yield found
    found.stop()


def saved(folder: Path, content: bytes = STOCK) -> str:
    path = folder / "firmware.uf2"
    path.write_bytes(content)
    return str(path)


def flash(*arguments: str, wait_s: float = 0.5) -> int:
    return cli.main(["flash", *arguments, "--wait", str(wait_s)])


def test_the_image_is_taken_and_the_board_comes_back(
    drive: FakeDrive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drive.start()
    assert flash(saved(tmp_path), wait_s=10) == 0
    assert drive.taken == STOCK
    assert "Done: firmware.uf2, for RP2040, has started" in capsys.readouterr().err


def test_a_drive_can_be_named(drive: FakeDrive, tmp_path: Path) -> None:
    drive.start()
    assert flash(saved(tmp_path), "--drive", str(drive.folder), wait_s=10) == 0
    assert drive.taken == STOCK


def test_a_board_that_is_plugged_in_later_is_waited_for(
    drive: FakeDrive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    timer = threading.Timer(0.3, drive.start)
    timer.start()
    assert flash(saved(tmp_path), wait_s=10) == 0
    assert "Hold BOOTSEL and plug the board in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("board_id", "content", "told"),
    [
        ("RP2350", STOCK, "the image is for RP2040, and the board at"),
        ("RPI-RP2", rp2_stock(uf2.RP2350_ARM_S), "the image is for RP2350, and the board at"),
        ("SAMD51", STOCK, "has a SAMD51"),
    ],
)
def test_an_image_for_another_chip_changes_nothing(
    board_id: str,
    content: bytes,
    told: str,
    drive: FakeDrive,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    drive.board_id = board_id
    drive.start()
    assert flash(saved(tmp_path, content)) == 1
    assert told in capsys.readouterr().err
    assert not list(drive.folder.glob("*.uf2"))


def test_rp2350_takes_its_own(drive: FakeDrive, tmp_path: Path) -> None:
    drive.board_id = "RP2350"
    content = rp2_stock(uf2.RP2350_ARM_S)
    drive.start()
    assert flash(saved(tmp_path, content), "--board", "RPI_PICO2_W", wait_s=10) == 0
    assert drive.taken == content


def test_a_full_drive_is_told(
    drive: FakeDrive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drive.takes = False
    drive.appear()
    (drive.folder / "firmware.uf2").symlink_to("/dev/full")
    assert flash(saved(tmp_path)) == 1
    told = capsys.readouterr().err
    assert "No space left on device" in told
    assert "the same command again mends it" in told


def test_a_cable_that_is_pulled_in_the_middle_is_told_and_a_second_run_mends_it(
    drive: FakeDrive,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write = os.write

    def pulled(target: int, content: bytes) -> int:
        if uf2.is_uf2(content):
            return write(target, content)
        drive.vanish()
        raise OSError(5, "Input/output error")

    image = saved(tmp_path, rp2_stock(size=100_000))
    drive.appear()
    with monkeypatch.context() as broken:
        # No second piece of this length begins with a block
        broken.setattr(flash_drive, "_CHUNK_BYTES", 50_000)
        broken.setattr(flash_drive.os, "write", pulled)
        assert flash(image) == 1
    told = capsys.readouterr().err
    assert "broke off (Input/output error)" in told
    assert "the same command again mends it" in told

    drive.start()
    assert flash(image, wait_s=10) == 0
    assert drive.taken == Path(image).read_bytes()


def test_a_drive_that_stays_has_not_taken_the_file(
    drive: FakeDrive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drive.takes = False
    drive.start()
    assert flash(saved(tmp_path)) == 1
    assert "has not taken the file" in capsys.readouterr().err


def test_a_board_that_does_not_come_back_is_not_done(
    drive: FakeDrive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drive.starts = False
    # One that was there before is not the one that was written
    drive.ports.append(Port("/dev/ttyACM0", RASPBERRY_PI, "another"))
    drive.start()
    assert flash(saved(tmp_path)) == 1
    told = capsys.readouterr().err
    assert "no MicroPython has come up" in told
    assert "Done" not in told


def test_no_drive_is_told(
    drive: FakeDrive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert flash(saved(tmp_path)) == 1
    assert "no BOOTSEL drive has come up; hold the BOOTSEL button" in capsys.readouterr().err


def test_two_drives_are_told(
    drive: FakeDrive,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    second = FakeDrive(tmp_path / "RPI-RP2 1")
    drive.appear()
    second.appear()
    monkeypatch.setattr(flash_drive, "_volumes", lambda: [drive.folder, second.folder])
    assert flash(saved(tmp_path)) == 1
    assert "there are 2 boards" in capsys.readouterr().err
    assert not list(tmp_path.glob("*/firmware.uf2"))


def test_erasing_is_for_esp32(
    drive: FakeDrive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drive.appear()
    assert flash(saved(tmp_path), "--erase") == 1
    assert "--erase is for ESP32" in capsys.readouterr().err


class FakePrompt:
    """MicroPython's raw REPL on a terminal, as far as asking for the boot loader takes it.

    A board whose code does not wait is gone before what it was sent is acknowledged.
    """

    def __init__(self, on_bootloader: Callable[[], None], has_paste_mode: bool) -> None:
        self._controller, self._terminal = pty.openpty()
        tty.setraw(self._terminal)
        self.device = os.ttyname(self._terminal)
        self._on_bootloader = on_bootloader
        self._has_paste_mode = has_paste_mode
        self._acknowledged = b"OK"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it has gone, as it should
            os.write(self._terminal, b"machine.bootloader()\x04")
        self._thread.join(10)
        os.close(self._terminal)

    def _say(self, text: bytes) -> None:
        os.write(self._controller, text)

    def _run(self) -> None:
        code = b""
        while b"machine.bootloader()" not in code:
            code = self._hear_code()
            if b"machine.bootloader()" not in code or b"sleep_ms" in code:
                self._say(self._acknowledged + b"\x04\x04>")
        self._on_bootloader()
        time.sleep(0.1)
        os.close(self._controller)

    def _hear_code(self) -> bytes:
        heard = b""
        while not heard.endswith(b"\x04"):
            heard += os.read(self._controller, 1000)
            if heard.endswith(b"\x02"):
                self._say(b"\r\n>>> ")
            elif heard.endswith(b"\x05A\x01"):
                # With a window for so many bytes; or the code comes as it is
                self._say(b"R\x01\x00\x04" if self._has_paste_mode else b"R\x00")
                self._acknowledged = b"\x04" if self._has_paste_mode else b"OK"
                heard = b""
            elif heard.endswith(b"\x01"):
                self._say(b"raw REPL; CTRL-B to exit\r\n>")
        return heard


@pytest.mark.parametrize("has_paste_mode", [True, False])
def test_a_running_micropython_is_asked_for_its_drive(
    has_paste_mode: bool, drive: FakeDrive, tmp_path: Path
) -> None:
    def restart() -> None:
        drive.ports.clear()
        drive.start()

    prompt = FakePrompt(restart, has_paste_mode)
    drive.ports.append(Port(prompt.device, RASPBERRY_PI, "Pico W"))
    try:
        assert flash(saved(tmp_path), wait_s=10) == 0
    finally:
        prompt.close()
    assert drive.taken == STOCK


def test_a_port_without_a_prompt_is_told(
    drive: FakeDrive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert flash(saved(tmp_path), "--port", str(tmp_path / "ttyACM0")) == 1
    told = capsys.readouterr().err
    assert f"{tmp_path}/ttyACM0" in told
    assert "hold the BOOTSEL button" in told


@pytest.fixture
def mpflash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of this name, which fetches what lies in the folder `web`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (tmp_path / "web").mkdir()
    program = folder / "mpflash"
    program.write_text(
        "#!/bin/sh\n"
        f'echo "$@" > {tmp_path}/called\n'
        f'mkdir -p "$MPFLASH_FIRMWARE/rp2" && cp {tmp_path}/web/* "$MPFLASH_FIRMWARE/rp2"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    monkeypatch.setattr("host_tools.flash.cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "web"


def test_without_an_image_mpflash_fetches_one(
    drive: FakeDrive, tmp_path: Path, mpflash: Path
) -> None:
    (mpflash / "RPI_PICO_W-v1.28.0.uf2").write_bytes(STOCK)
    (mpflash / "RPI_PICO_W-v1.28.0.txt").write_text("notes")
    (mpflash / "RPI_PICO_W-VARIANT-v1.28.0.uf2").write_bytes(STOCK[:-512])
    drive.start()
    assert flash("--board", "RPI_PICO_W", wait_s=10) == 0
    assert drive.taken == STOCK
    called = (tmp_path / "called").read_text()
    assert called == "download --board RPI_PICO_W --version stable\n"


def test_without_an_image_and_without_a_network_the_way_by_hand_is_told(
    drive: FakeDrive, mpflash: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drive.appear()
    assert flash("--board", "RPI_PICO_W") == 1
    told = capsys.readouterr().err
    assert "mpflash has not got an image for RPI_PICO_W" in told
    assert "thermo flash FILE" in told


def test_without_an_image_and_without_mpflash_the_way_by_hand_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert flash("--board", "ESP32_GENERIC") == 1
    assert "thermo flash FILE" in capsys.readouterr().err
    assert flash() == 1
    assert "with --board the board" in capsys.readouterr().err
    assert flash("--board", "PICO") == 1
    assert "there is no board 'PICO'" in capsys.readouterr().err


def test_an_image_of_ours_is_looked_through(
    drive: FakeDrive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its software is compared with its list, since a UF2 has no checksum of its own."""
    drive.start()
    assert flash(saved(tmp_path, image_of_ours(b"board", b"bored"))) == 1
    assert "its software is damaged: board.mpy" in capsys.readouterr().err
    assert flash(saved(tmp_path, image_of_ours(b"board", b"board")), wait_s=10) == 0
    assert "for RP2040 with our software 1a2b, has started" in capsys.readouterr().err


def image_of_ours(listed: bytes, held: bytes) -> bytes:
    stock = uf2.parse_uf2(STOCK)
    slot = Slot(Path(), "1a2b", {"board.mpy": hashlib.sha256(listed).hexdigest()})
    files = {"a/files.json": list_text(slot), "a/board.mpy": held}
    for number, block in file_system.build(files, 848 << 10, 256).items():
        stock.pages.update(uf2.pages_of(XIP_BASE + (1200 << 10) + number * 4096, block))
    return uf2.build_uf2(stock)


def test_an_esp32_image_goes_to_no_drive(
    drive: FakeDrive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drive.appear()
    began = time.monotonic()
    assert flash(saved(tmp_path, esp_stock())) == 1
    assert time.monotonic() - began < 5
    assert "no board is found" in capsys.readouterr().err
    assert not list(drive.folder.glob("*.uf2"))
