"""Write RP2 boards by copying a UF2 file onto the drive that they show while BOOTSEL is held.

The boot ROM says nothing about how it went: it takes the blocks, and restarts the board once it
has all of them. So the drive's going away is the sign that the file was taken whole, and a
MicroPython that comes back on a port the sign that it runs. The flash cannot be read back.

Source: RP2040 datasheet 2.8.4 (USB mass storage interface), RP2350 datasheet 5.5.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpremote.transport import TransportError

from host_tools import uf2
from host_tools.board_link import BoardError, BoardLink
from host_tools.chips import DRIVE_IDS
from host_tools.flash import Firmware, FlashError, Job
from host_tools.ports import Port

_MOUNTS = Path("/proc/mounts")
_ABOUT = "INFO_UF2.TXT"
_ABOUT_BYTES = 4096
_TARGET = "firmware.uf2"
_CHUNK_BYTES = 64 * 1024
_POLL_S = 0.1
# Late enough for mpremote to hear that the code has arrived: the port vanishes with the restart
_BOOTLOADER = "import time, machine; time.sleep_ms(100); machine.bootloader()"


@dataclass(frozen=True)
class Drive:
    """A board's BOOTSEL drive, and what it says it is."""

    folder: Path
    board_id: str

    @property
    def chip(self) -> str:
        return uf2.FAMILIES.get(DRIVE_IDS.get(self.board_id, 0), f"a {self.board_id}")

    def is_there(self) -> bool:
        try:
            return (self.folder / _ABOUT).is_file()
        except OSError:
            return False


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds: until a drive comes, until it goes, until a port is back."""

    drive_s: float = 60.0
    taken_s: float = 30.0
    port_s: float = 30.0


def read_drive(folder: Path) -> Drive | None:
    """The drive in `folder`, if it is that of a board."""
    try:
        with (folder / _ABOUT).open("rb") as about:
            text = about.read(_ABOUT_BYTES).decode("ascii", "replace")
    except OSError:
        return None
    found = re.search(r"^Board-ID:\s*(\S+)", text, re.MULTILINE)
    return Drive(folder, found[1]) if found else None


def find_drives(folders: Iterable[Path] | None = None) -> list[Drive]:
    """The boards among the mounted volumes."""
    found = (read_drive(folder) for folder in (_volumes() if folders is None else folders))
    return [drive for drive in found if drive is not None]


def _volumes() -> list[Path]:
    if sys.platform == "win32":
        return [Path(f"{letter}:/") for letter in "DEFGHIJKLMNOPQRSTUVWXYZ"]
    if sys.platform == "darwin":
        return list(Path("/Volumes").glob("*"))
    # Of names that are not UTF-8 too
    rows = [os.fsdecode(line).split() for line in _MOUNTS.read_bytes().splitlines()]
    # Spaces in a path are written as \040
    return [
        Path(row[1].replace("\\040", " ")) for row in rows if len(row) > 2 and row[2] == "vfat"
    ]


def wait_for_drive(
    find: Callable[[], Sequence[Drive]], patience: Patience, job: Job, ask: str
) -> Drive:
    """The only drive, as soon as there is one. Raises FlashError."""
    deadline = time.monotonic() + patience.drive_s
    job.step(ask)
    while True:
        drives = find()
        if len(drives) > 1:
            named = ", ".join(str(drive.folder) for drive in drives)
            raise FlashError(f"there are {len(drives)} boards: {named}; choose one with --drive")
        if drives:
            return drives[0]
        if time.monotonic() >= deadline:
            raise FlashError(
                "no BOOTSEL drive has come up; hold the BOOTSEL button while you plug the board "
                "in (and mount the drive, if your system does not)"
            )
        time.sleep(_POLL_S)


def check_drive(firmware: Firmware, drive: Drive) -> None:
    """Is it the chip that the image is for? Raises FlashError."""
    assert isinstance(firmware.form, uf2.Uf2)
    if DRIVE_IDS.get(drive.board_id) != firmware.form.family:
        raise FlashError(
            f"the image is for {firmware.chip}, and the board at {drive.folder} has {drive.chip}; "
            "nothing on the board was changed; take the image for this board"
        )


def flash_drive(
    firmware: Firmware,
    drive: Drive,
    job: Job,
    ports: Callable[[], Sequence[Port]],
    patience: Patience = Patience(),
) -> Port:
    """Copy the image, and see the board take it and come back; return its port.

    Raises FlashError.
    """
    check_drive(firmware, drive)
    before = {port.device for port in ports() if port.is_rp2}
    job.step(f"Copying to {drive.folder}")
    try:
        _copy(firmware.content, drive, job)
        job.step("Waiting for the board to take it")
        if not _wait(lambda: not drive.is_there(), patience.taken_s):
            raise FlashError(f"the board at {drive.folder} has not taken the file; {job.state()}")
    except OSError as error:
        reason = error.strerror or str(error)
        raise FlashError(
            f"the copy to {drive.folder} broke off ({reason}); {job.state()}"
        ) from None
    job.step("Waiting for the board to start")
    port = _returned(ports, before, patience.port_s)
    if port is None:
        raise FlashError(
            "the board has taken the file, but no MicroPython has come up on a port: was the "
            "cable pulled, or is the image for another board? Run the same command again"
        )
    job.finished = True
    return port


def _copy(content: bytes, drive: Drive, job: Job) -> None:
    """Write the file through to the board, piece by piece, so that the progress is true."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
    target = os.open(drive.folder / _TARGET, flags, 0o644)
    sent = 0
    try:
        while sent < len(content):
            job.touched = True
            sent += os.write(target, content[sent : sent + _CHUNK_BYTES])
            _sync(target, sent == len(content), drive)
            job.advance(sent, len(content))
    finally:
        _close(target)


def _sync(target: int, is_last: bool, drive: Drive) -> None:
    try:
        os.fsync(target)
    except OSError:
        # The board restarts on the last block, before the file system has written its tables
        if not is_last or drive.is_there():
            raise


def _close(target: int) -> None:
    try:
        os.close(target)
    except OSError:
        # The drive went away, which is told by whoever waits for that
        pass


def _returned(
    ports: Callable[[], Sequence[Port]], before: set[str], patience_s: float
) -> Port | None:
    """The port of a board that was not there while the drive was."""
    found: list[Port] = []

    def is_back() -> bool:
        found[:] = [port for port in ports() if port.is_rp2 and port.device not in before]
        return bool(found)

    return found[0] if _wait(is_back, patience_s) else None


def _wait(is_so: Callable[[], bool], patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True


def enter_bootloader(port: str) -> None:
    """Have the MicroPython on `port` leave its program and restart as a BOOTSEL drive.

    Raises FlashError.
    """
    try:
        with BoardLink.open(port) as link:
            link.stop()
            link.transport.exec_raw_no_follow(_BOOTLOADER)
    except (BoardError, TransportError, OSError) as error:
        raise FlashError(
            f"{error}; or hold the BOOTSEL button while you plug the board in, and run the same "
            "command again"
        ) from None
