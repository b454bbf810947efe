"""The boards' chips, and where MicroPython keeps its file system on them.

Only what an image does not say of itself. An ESP32 image carries its partition table; an RP2 image
of a usual build tells by its binary info where the file system lies, and the table here is what
MicroPython's sources say, for those that do not.

Source: MicroPython ports/rp2/boards/RPI_PICO_W and RPI_PICO2_W, mpconfigboard.h
(MICROPY_HW_FLASH_STORAGE_BYTES), ports/rp2/rp2_flash.c (it ends where the flash ends),
ports/rp2/modules/_boot.py and ports/esp32/modules/inisetup.py (the parameters of LittleFS),
extmod/vfs_lfsx.c (their defaults). pico-sdk, pico/binary_info/structure.h and defs.h.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from host_tools import uf2

# Where the flash lies in the address space of RP2 chips, and how much of it there can be
XIP_BASE = 0x10000000
_LARGEST_FLASH = 16 << 20


@dataclass(frozen=True)
class Region:
    """A part of the flash: bytes from its beginning, and bytes."""

    offset: int
    size: int

    @property
    def end(self) -> int:
        return self.offset + self.size


@dataclass(frozen=True)
class Rp2:
    """A board that takes UF2 files of one family.

    machine: its name in MicroPython's banner, which tells a Pico W from a Pico.
    """

    family: int
    chip: str
    file_system: Region
    machine: str
    program_bytes: int = 256


@dataclass(frozen=True)
class Esp32:
    """A board that esptool writes; `chip` as esptool names it."""

    chip: str
    program_bytes: int = 32


# What a BOOTSEL drive's INFO_UF2.TXT says as Board-ID
DRIVE_IDS = {"RPI-RP2": uf2.RP2040, "RP2350": uf2.RP2350_ARM_S}
CHIPS: dict[str, Rp2 | Esp32] = {
    "ESP32_GENERIC": Esp32("ESP32"),
    "ESP32_GENERIC_S3": Esp32("ESP32-S3"),
    "ESP32_GENERIC_C3": Esp32("ESP32-C3"),
    "RPI_PICO_W": Rp2(uf2.RP2040, "RP2040", Region(1200 << 10, 848 << 10), "Raspberry Pi Pico W"),
    "RPI_PICO2_W": Rp2(
        uf2.RP2350_ARM_S, "RP2350", Region(1536 << 10, 2560 << 10), "Raspberry Pi Pico 2 W"
    ),
}

_MARKER_START, _MARKER_END = 0x7188EBF2, 0xE71AA390
_MARKER = struct.Struct("<5I")
# Behind RP2040's second boot stage (256 bytes), or behind RP2350's vector table
_MARKER_SEARCH_BYTES = 4096
_BLOCK_DEVICE_TYPE = 7
_BLOCK_DEVICE = struct.Struct("<H2sIII")
_MICROPYTHON_TAG = b"MP"
_ENTRIES_LIMIT = 1024


def told_file_system(pages: Mapping[int, bytes]) -> Region | None:
    """Where an RP2 image says, in its binary info, that MicroPython's file system lies."""
    for pointer in _entries(pages):
        entry = uf2.read_memory(pages, pointer, _BLOCK_DEVICE.size)
        kind, tag, _, address, size = _BLOCK_DEVICE.unpack(entry)
        region = Region(address - XIP_BASE, size)
        is_in_flash = region.offset >= 0 and region.end <= _LARGEST_FLASH
        if (kind, tag) == (_BLOCK_DEVICE_TYPE, _MICROPYTHON_TAG) and is_in_flash:
            return region
    return None


def _entries(pages: Mapping[int, bytes]) -> tuple[int, ...]:
    """The addresses of all that the binary info names."""
    head = uf2.read_memory(pages, XIP_BASE, _MARKER_SEARCH_BYTES)
    for at in range(0, len(head) - _MARKER.size + 1, 4):
        start, first, last, _, end = _MARKER.unpack_from(head, at)
        count = (last - first) // 4
        if (start, end) == (_MARKER_START, _MARKER_END) and 0 < count <= _ENTRIES_LIMIT:
            return struct.unpack(f"<{count}I", uf2.read_memory(pages, first, 4 * count))
    return ()
