"""Finding BOOTSEL drives, and a copy whose drive goes away at an awkward moment."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from doubles.stock_images import rp2_stock
from mpremote.transport import TransportError

from host_tools import flash_drive
from host_tools.board_link import BoardError
from host_tools.flash import Firmware, FlashError, Job, load_firmware
from host_tools.flash_drive import Drive, Patience, find_drives, read_drive
from host_tools.ports import RASPBERRY_PI, Port

ABOUT = "UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: RPI-RP2\n"
BACK = Port("/dev/ttyACM9", RASPBERRY_PI, "MicroPython")
HASTY = Patience(drive_s=0.0, taken_s=0.0, port_s=0.0)


@pytest.fixture
def drive(tmp_path: Path) -> Drive:
    folder = tmp_path / "RPI RP2"
    folder.mkdir()
    (folder / "INFO_UF2.TXT").write_text(ABOUT)
    found = read_drive(folder)
    assert found is not None
    return found


@pytest.fixture
def firmware(tmp_path: Path) -> Firmware:
    path = tmp_path / "stock.uf2"
    path.write_bytes(rp2_stock())
    return load_firmware(path)


def job() -> Job:
    return Job(lambda *_: None)


def flash(firmware: Firmware, drive: Drive, mine: Job, ports: Sequence[Port] = (BACK,)) -> Port:
    seen: list[Sequence[Port]] = [(), ports]
    return flash_drive.flash_drive(firmware, drive, mine, lambda: seen.pop(0), HASTY)


def vanish(drive: Drive, error: int | None = None) -> Any:
    """What is done when the drive goes away in the middle of a call."""

    def gone(*_: object) -> None:
        (drive.folder / "INFO_UF2.TXT").unlink(missing_ok=True)
        if error is not None:
            raise OSError(error, os.strerror(error))

    return gone


def test_the_boards_among_the_mounted_volumes(
    drive: Drive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "camera").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "INFO_UF2.TXT").write_text("UF2 Bootloader\n")
    mounts = tmp_path / "mounts"
    # As the kernel writes them; names are bytes, in whatever encoding
    mounts.write_bytes(
        b"proc /proc proc rw 0 0\nshort\n"
        + f"/dev/sda1 {tmp_path}/camera vfat rw 0 0\n".encode()
        + b"/dev/sdd1 /media/\xfc vfat rw 0 0\n"
        + f"/dev/sdb1 {tmp_path}/other vfat rw 0 0\n".encode()
        + f"/dev/sdc1 {tmp_path}/RPI\\040RP2 vfat rw 0 0\n".encode()
    )
    monkeypatch.setattr(flash_drive, "_MOUNTS", mounts)
    monkeypatch.setattr("sys.platform", "linux")
    assert find_drives() == [drive]
    assert drive.chip == "RP2040"


@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_where_there_is_no_list_of_mounts(
    platform: str, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    looked: list[str] = []
    monkeypatch.setattr(flash_drive, "read_drive", lambda folder: looked.append(str(folder)))
    monkeypatch.setattr(Path, "glob", lambda folder, _: [folder / "RPI-RP2"])
    assert find_drives() == []
    assert looked[0] == ("D:" if platform == "win32" else "/Volumes/RPI-RP2")


def test_a_drive_that_cannot_be_looked_at_is_gone(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert drive.is_there()
    monkeypatch.setattr(Path, "is_file", vanish(drive, errno.EIO))
    assert not drive.is_there()


def test_more_than_one_board_and_none(drive: Drive) -> None:
    with pytest.raises(FlashError, match=r"there are 2 boards: .*; choose one with --drive"):
        flash_drive.wait_for_drive(lambda: [drive, drive], HASTY, job(), "Plug it in")
    with pytest.raises(FlashError, match="hold the BOOTSEL button while you plug the board in"):
        flash_drive.wait_for_drive(list, HASTY, job(), "Plug it in")


@pytest.mark.parametrize("call", ["fsync", "close"])
def test_a_board_that_restarts_on_the_last_block_has_taken_the_file(
    call: str, firmware: Firmware, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    if call == "close":
        monkeypatch.setattr(os, "fsync", vanish(drive))
    monkeypatch.setattr(os, call, vanish(drive, errno.EIO))
    mine = job()
    assert flash(firmware, drive, mine) == BACK
    assert mine.finished


def test_a_drive_that_stays_after_an_error_has_not_taken_it(
    firmware: Firmware, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(FlashError, match=r"broke off \(No space left .*the same command again"):
        flash(firmware, drive, job())
    monkeypatch.setattr(os, "fsync", lambda _: None)
    with pytest.raises(FlashError, match="has not taken the file; the board's flash is written"):
        flash(firmware, drive, job())


def test_a_board_that_does_not_start_is_told(
    firmware: Firmware, drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", vanish(drive))
    mine = job()
    with pytest.raises(FlashError, match="no MicroPython has come up on a port"):
        flash(firmware, drive, mine, [])
    assert not mine.finished


@pytest.mark.parametrize(
    "trouble", [TransportError("no prompt"), OSError("gone"), BoardError("gone; plug it in")]
)
def test_a_board_that_does_not_go_into_its_loader_is_asked_for_by_hand(
    trouble: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> None:
        raise trouble

    monkeypatch.setattr(flash_drive.BoardLink, "open", fail)
    with pytest.raises(FlashError, match="or hold the BOOTSEL button while you plug the board in"):
        flash_drive.enter_bootloader("/dev/ttyTEST")
