"""One file that makes a bare board a thermostat: stock MicroPython and our software, joined.

The software lies in a file system as MicroPython's port would have made it, in slot `a` (the
layout of host_tools/slot.py), behind the stock firmware, which stays as it is.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from host_tools import configuration, credentials, file_system, slot, uf2
from host_tools.board_files import ROOT_NAMES, root_files
from host_tools.chips import CHIPS, XIP_BASE, Esp32, Region, Rp2, told_file_system
from host_tools.esp_image import (
    FAT_LABEL,
    FILE_SYSTEM_LABEL,
    LIMIT_BYTES,
    EspImage,
    EspImageError,
    parse_esp_image,
)
from host_tools.file_system import BLOCK_BYTES
from host_tools.problem import Problem
from host_tools.tree import source_tree

# Frozen modules keep their names in the firmware, in plain text
_FROZEN_UMQTT = slot.UMQTT_NAME.encode()
# What MicroPython greets with at its prompt; our software needs this version or a newer one
_VERSION = re.compile(rb"MicroPython v(\d+)\.(\d+)")
_MACHINE = re.compile(rb"(Raspberry Pi Pico[ 2W]{0,4}) with RP2")
_OLDEST = (1, 25)
# LittleFS needs two for itself, and two for each folder
_SMALLEST_BLOCKS = 16


class ImageError(Problem):
    """An image cannot be made, or is not right; the text says why and what to do."""


@dataclass(frozen=True)
class Joined:
    """A finished image: its bytes, where its file system lies, the software's version.

    flash_size: of the boards that it is for, if no other will do.
    """

    content: bytes
    region: Region
    version: str
    flash_size: int | None = None


def make_image(
    board: str,
    firmware: Path,
    config: Path | None = None,
    region: Region | None = None,
    flash_size: int | None = None,
    root: Path | None = None,
) -> Joined:
    """Join the stock image `firmware` and our software for `board`.

    config: the thermostat's configuration, to be put in with the files that it names.
    region: where the file system lies, if neither the image nor our table say so rightly.
    flash_size: bytes of the board's flash (ESP32), if it is not what the image says.
    root: the folder with firmware/ and boards/, if not our own.
    Raises ImageError, BoardFilesError, CompileError, ConfigurationProblem, CredentialError,
    UmqttError, OSError.
    """
    chip = CHIPS.get(board)
    if chip is None:
        raise ImageError(f"no image can be made for {board!r}; there are {', '.join(CHIPS)}")
    if flash_size and isinstance(chip, Rp2):
        raise ImageError("--flash-size is for ESP32; a Pico has the flash that it has")
    stock = firmware.read_bytes()
    files = _data_files(config) if config else {}
    root = root or source_tree()
    flat = _flat(stock)
    _check_micropython(flat, chip)
    with tempfile.TemporaryDirectory() as folder:
        frozen = _FROZEN_UMQTT in flat
        built = slot.build_slot(board, Path(folder) / "a", with_umqtt=not frozen, root=root)
        files.update(_software(board, built, root))
    try:
        if isinstance(chip, Rp2):
            content, region = _join_uf2(stock, chip, region, files)
            only = None
        else:
            content, region, only = _join_bin(stock, chip, region, flash_size, files)
    except (uf2.Uf2Error, EspImageError) as error:
        raise ImageError(f"{firmware} {error}; download it again") from None
    except file_system.FileSystemError as error:
        raise ImageError(f"{error}; is {board} the right board?") from None
    return Joined(content, region, built.version, only)


def _software(board: str, built: slot.Slot, root: Path) -> dict[str, bytes]:
    files = {file.target: file.source.read_bytes() for file in root_files(board, root)}
    for name in (*built.files, slot.LIST_NAME):
        files[f"a/{name}"] = (built.folder / name).read_bytes()
    files["slot"] = slot.marker("a", "good")
    return files


def _data_files(config: Path) -> dict[str, bytes]:
    """The configuration, judged as the board will judge it, and the files that it names."""
    name = configuration.FILE
    content = configuration.newest(name, {name: credentials.read_file(config)})
    assert content is not None  # there is a file, and what is none in it has raised
    configuration.check(content)
    files = {name: configuration.encoded(content)}
    for named in configuration.referenced_files(content):
        if Path(named).name != named or named in (name, *ROOT_NAMES):
            raise ImageError(f"{config} names the file {named!r}; it has to lie beside it")
        path = config.parent / named
        is_secret = named == content.get("private_key")
        files[named] = credentials.read_file(path) if is_secret else path.read_bytes()
    return files


def _flat(stock: bytes) -> bytes:
    """The firmware in one piece, to search in."""
    try:
        pages = uf2.parse_uf2(stock).pages
    except uf2.Uf2Error:
        return stock
    return b"".join(pages[address] for address in sorted(pages))


def _check_micropython(flat: bytes, chip: Rp2 | Esp32) -> None:
    """Is it, as far as its greeting says, new enough, and for this board and not its sister?"""
    version = _VERSION.search(flat)
    if version and (int(version[1]), int(version[2])) < _OLDEST:
        raise ImageError(
            f"the firmware is {version[0].decode()}, and our software needs v1.25 or newer; "
            "download the newest stable one"
        )
    machine = _MACHINE.search(flat)
    if isinstance(chip, Rp2) and machine and machine[1].decode() != chip.machine:
        raise ImageError(_wrong_chip(machine[1].decode(), chip.machine))


def _check_region(region: Region) -> Region:
    is_whole = region.offset % BLOCK_BYTES == 0 and region.size % BLOCK_BYTES == 0
    is_in_flash = region.offset >= 0 and region.end <= LIMIT_BYTES
    if not is_whole or not is_in_flash or region.size < _SMALLEST_BLOCKS * BLOCK_BYTES:
        raise ImageError(
            f"a file system at {region.offset:#x} with {region.size:#x} bytes is not made of "
            f"blocks of {BLOCK_BYTES} in a flash; correct --filesystem"
        )
    return region


def _join_uf2(
    stock: bytes, chip: Rp2, region: Region | None, files: Mapping[str, bytes]
) -> tuple[bytes, Region]:
    image = uf2.parse_uf2(stock)
    if image.family != chip.family:
        raise ImageError(_wrong_chip(uf2.FAMILIES.get(image.family, "another chip"), chip.chip))
    region = _check_region(region or told_file_system(image.pages) or chip.file_system)
    start = XIP_BASE + region.offset
    if any(start - uf2.PAGE_BYTES < address < XIP_BASE + region.end for address in image.pages):
        raise ImageError(_overlap(region))
    pages = _whole_sectors(image.pages)
    for number, block in file_system.build(files, region.size, chip.program_bytes).items():
        pages.update(uf2.pages_of(start + number * BLOCK_BYTES, block))
    return uf2.build_uf2(replace(image, pages=pages)), region


def _whole_sectors(pages: Mapping[int, bytes]) -> dict[int, bytes]:
    """A sector that is written in part is filled up: the boot ROM erases it as a whole.

    Source: erratum RP2040-E14, which Raspberry Pi's own tools mend in the same way.
    """
    filled = dict(pages)
    for sector in {address - address % uf2.SECTOR_BYTES for address in pages}:
        for address in range(sector, sector + uf2.SECTOR_BYTES, uf2.PAGE_BYTES):
            filled.setdefault(address, b"\xff" * uf2.PAGE_BYTES)
    return filled


def _join_bin(
    stock: bytes,
    chip: Esp32,
    region: Region | None,
    flash_size: int | None,
    files: Mapping[str, bytes],
) -> tuple[bytes, Region, int | None]:
    """The image, where its file system lies, and the size of the only flash that it is for."""
    image = parse_esp_image(stock)
    if image.chip != chip.chip:
        raise ImageError(_wrong_chip(image.chip, chip.chip))
    only = None
    if region is None:
        region, only = _esp_region(image, flash_size or image.flash_size)
    _check_region(region)
    if image.start + len(stock) > region.offset:
        raise ImageError(_overlap(region))
    joined = bytearray(stock.ljust(region.offset - image.start, b"\xff"))
    blocks = file_system.build(files, region.size, chip.program_bytes)
    for number in range(max(blocks) + 1):
        joined += blocks.get(number, b"\xff" * BLOCK_BYTES)
    return bytes(joined), region, only


def _esp_region(image: EspImage, flash_size: int) -> tuple[Region, int | None]:
    """Where the port looks for its file system, and the flash's size if that depends on it."""
    found = image.partition(FILE_SYSTEM_LABEL)
    if found:
        return _inside(Region(found.address, found.size), flash_size), None
    if image.partition(FAT_LABEL):
        raise ImageError(
            f"the firmware keeps a FAT file system, in its partition {FAT_LABEL!r}; take "
            "MicroPython's stock image"
        )
    room = flash_size - image.end
    if room < _SMALLEST_BLOCKS * BLOCK_BYTES:
        raise ImageError(
            f"there are {max(room, 0) >> 10} KB behind the partitions, in a flash of "
            f"{flash_size >> 20} MB; give the size of the board's flash with --flash-size"
        )
    return Region(image.end, room), flash_size


def _inside(region: Region, flash_size: int) -> Region:
    if region.end > flash_size:
        raise ImageError(
            f"the file system would end at {region.end:#x}, behind the flash of "
            f"{flash_size >> 20} MB; take the firmware for this board's flash"
        )
    return region


def _wrong_chip(found: str, wanted: str) -> str:
    return f"the firmware is for {found}, not for {wanted}; take the board's own firmware"


def _overlap(region: Region) -> str:
    return (
        f"the firmware reaches into the file system at {region.offset:#x}; take MicroPython's "
        "stock image, without a file system of its own"
    )


def check_software(files: Mapping[str, bytes]) -> str:
    """The version of the software in slot a, every file being what files.json says.

    Raises ImageError.
    """
    try:
        listed = json.loads(files[f"a/{slot.LIST_NAME}"])
        wanted, version = dict(listed["files"]), str(listed["version"])
    except (KeyError, TypeError, ValueError):
        raise ImageError("its file system holds none of our software") from None
    for name, digest in wanted.items():
        if hashlib.sha256(files.get(f"a/{name}", b"")).hexdigest() != digest:
            raise ImageError(f"its software is damaged: {name} is not what it was")
    return version
