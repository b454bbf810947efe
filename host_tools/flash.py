"""What `thermo flash` does with a board, whichever way its chip is written.

Here is what both ways share: the image, checked before a board is touched; the job, which knows
what state the board is in; and where an image comes from if none is named.
`flash_esp` writes ESP32 chips with esptool, `flash_drive` copies UF2 files to BOOTSEL drives.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from host_tools import file_system, uf2
from host_tools.chips import CHIPS, XIP_BASE, Esp32, Region, Rp2, told_file_system
from host_tools.esp_image import (
    FILE_SYSTEM_LABEL,
    LIMIT_BYTES,
    EspImage,
    EspImageError,
    is_esp_image,
    parse_esp_image,
)
from host_tools.file_system import FileSystemError
from host_tools.image import ImageError, check_software
from host_tools.problem import Problem
from host_tools.slot import LIST_NAME
from host_tools.tree import cache_folder

_DOWNLOAD_S = 300


class FlashError(Problem):
    """A board was not flashed; the text says what happened, how the board is, and what to do."""


@dataclass(frozen=True)
class Firmware:
    """An image that was found whole.

    form: what it says of itself. software: the version of our software in it, or None.
    flash_size: bytes of the only flash that its file system is mounted in, if there is only one.
    """

    path: Path
    content: bytes
    form: uf2.Uf2 | EspImage
    software: str | None
    flash_size: int | None = None

    @property
    def chip(self) -> str:
        if isinstance(self.form, EspImage):
            return self.form.chip
        return uf2.FAMILIES.get(self.form.family, f"chips of family {self.form.family:#010x}")


class Job:
    """How far it is: for the screen, and for the line that an interrupted run ends with.

    show(what, done, total) is called as it goes on.
    """

    def __init__(self, show: Callable[[str, int, int], None]) -> None:
        self._show = show
        self._what = ""
        self.touched = False
        self.restarted = False
        self.finished = False

    def step(self, what: str) -> None:
        self._what = what
        self._show(what, 0, 0)

    def advance(self, done: int, total: int) -> None:
        self._show(self._what, done, total)

    def state(self) -> str:
        """How the board is now, and what to do, for the end of an error or after Ctrl-C."""
        if self.finished:
            return "the new firmware is on the board, whole and verified"
        if self.touched:
            return (
                "the board's flash is written in part and it will not start like this; "
                "the same command again mends it"
            )
        if self.restarted:
            return "nothing on the board was changed, and it was started again"
        return "nothing on the board was changed"


def load_firmware(path: Path, board: str | None = None) -> Firmware:
    """Read an image and check all that can be checked without a board. Raises FlashError."""
    if board is not None and board not in CHIPS:
        raise FlashError(f"there is no board {board!r}; there are {', '.join(CHIPS)}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FlashError(f"{path}: {error.strerror}; name an image file") from None
    try:
        firmware = _parse(path, content)
    except (uf2.Uf2Error, EspImageError, FileSystemError, ImageError) as error:
        raise FlashError(f"{path}: {error}; download or make it again") from None
    if board is not None:
        _check_board(firmware, board)
    return firmware


def _parse(path: Path, content: bytes) -> Firmware:
    if uf2.is_uf2(content):
        image = uf2.parse_uf2(content)
        return Firmware(path, content, image, _software_of_uf2(image))
    if is_esp_image(content):
        return _parse_bin(path, content)
    raise ImageError("it is no firmware image: neither UF2 nor an ESP32's .bin")


def _software_of_uf2(image: uf2.Uf2) -> str | None:
    told = told_file_system(image.pages)
    if told is not None:
        return _software(_content_of(image, told), Rp2.program_bytes)
    for chip in CHIPS.values():
        if isinstance(chip, Rp2) and chip.family == image.family:
            try:
                return _software(_content_of(image, chip.file_system), Rp2.program_bytes)
            except FileSystemError:
                return None  # of a build that we do not know: a program may reach to there
    return None


def _content_of(image: uf2.Uf2, region: Region) -> bytes:
    """What the image has for this region: nothing, if it has not got its first page."""
    start = XIP_BASE + region.offset
    return uf2.read_memory(image.pages, start, region.size) if start in image.pages else b""


def _parse_bin(path: Path, content: bytes) -> Firmware:
    image = parse_esp_image(content)
    found = image.partition(FILE_SYSTEM_LABEL)
    start = found.address if found else image.end
    system = content[start - image.start :]
    # Without a partition there may be anything; a LittleFS there says how large it is
    size = found.size if found else file_system.told_size(system)
    if not system or not size or start + size > LIMIT_BYTES:
        return Firmware(path, content, image, None)
    software = _software(system[:size].ljust(size, b"\xff"), Esp32.program_bytes)
    return Firmware(path, content, image, software, None if found else start + size)


def _software(system: bytes, program_bytes: int) -> str | None:
    """The version of our software in a file system, whole; None if it holds none of ours."""
    if not system:
        return None
    files = file_system.read(system, program_bytes)
    return check_software(files) if f"a/{LIST_NAME}" in files else None


def _check_board(firmware: Firmware, board: str) -> None:
    wanted = CHIPS[board].chip
    if firmware.chip != wanted:
        raise FlashError(
            f"{firmware.path} is for {firmware.chip}, and {board} has {wanted}; "
            "take the image for this board"
        )


def download(board: str) -> Path:
    """MicroPython's newest stable image for `board`, by mpflash. Raises FlashError."""
    by_hand = (
        f"download MicroPython's firmware for {board} by hand (.uf2 or .bin, the newest stable "
        "one) from MicroPython's download page, and run: thermo flash FILE"
    )
    program = shutil.which("mpflash")
    if program is None:
        raise FlashError(
            f"no image is named, and mpflash, which would fetch one, is not there; {by_hand}"
        )
    folder = cache_folder() / "micropython"
    folder.mkdir(parents=True, exist_ok=True)
    command = [program, "download", "--board", board, "--version", "stable"]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "MPFLASH_FIRMWARE": str(folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_DOWNLOAD_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        raise FlashError(f"mpflash does not get the image; {by_hand}") from None
    suffix = ".uf2" if isinstance(CHIPS.get(board), Rp2) else ".bin"
    # A version or a date follows the name of the plain build; variants have a word there
    found = sorted(folder.rglob(f"{board}-[v0-9]*{suffix}"), key=lambda path: path.stat().st_mtime)
    if done.returncode != 0 or not found:
        raise FlashError(f"mpflash has not got an image for {board}; {by_hand}")
    return found[-1]
