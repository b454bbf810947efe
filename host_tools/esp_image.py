"""What an ESP32 firmware image says of itself: chip, flash, partitions, and whether it is whole.

A MicroPython image is one file of three parts: bootloader, partition table, program. The first
lies where the chip's ROM looks for it, so that this address is also where the file begins.
esptool's own reader is for files one has built; a damaged download has to be refused, not noted.

Source: ESP-IDF programming guide, "App Image Format" and "Partition Tables"; esptool's chip
classes for the bootloader's address; MicroPython ports/esp32/modules/flashbdev.py and its pull
request 17337 for where the file system lies.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

TABLE_ADDRESS = 0x8000
# MicroPython's partition. Since 1.26 its table has none, and the port makes it at each start: from
# the end of the last partition to the end of the flash
FILE_SYSTEM_LABEL = "vfs"
# That of TinyUF2, which MicroPython formats with FAT
FAT_LABEL = "ffat"
# As large as any flash on these boards
LIMIT_BYTES = 32 * 1024 * 1024

_MAGIC = 0xE9
# Magic, segments, flash mode, size and frequency; chip id; whether a SHA-256 follows
_HEADER = struct.Struct("<BBBB8xH9x?")
_SEGMENT = struct.Struct("<II")
_HASH_BYTES = 32
_TABLE_BYTES = 0xC00
_ENTRY = struct.Struct("<2sBBII16sI")
_ENTRY_MAGIC, _MD5_MAGIC = b"\xaa\x50", b"\xeb\xeb"
_APPLICATION = 0


class EspImageError(Exception):
    """A file that is no ESP32 firmware, or not a whole one; the text says why."""


@dataclass(frozen=True)
class _Header:
    chip_id: int
    flash_size: int


@dataclass(frozen=True)
class Partition:
    """A part of the flash: its address and size in bytes."""

    label: str
    kind: int
    address: int
    size: int


@dataclass(frozen=True)
class EspImage:
    """A whole firmware image.

    chip: as esptool names it, "ESP32-S3". start: the address of the file's first byte.
    flash_size: bytes of flash that the image is made for.
    """

    chip: str
    start: int
    flash_size: int
    partitions: tuple[Partition, ...]

    @property
    def end(self) -> int:
        """Where the flash is free, behind all partitions."""
        return max(found.address + found.size for found in self.partitions)

    def partition(self, label: str) -> Partition | None:
        return next((found for found in self.partitions if found.label == label), None)


def is_esp_image(content: bytes) -> bool:
    """Does it begin as an ESP32 firmware does?"""
    return content[:1] == bytes((_MAGIC,))


def parse_esp_image(content: bytes) -> EspImage:
    """What the image says of itself, all its checksums being right. Raises EspImageError."""
    if not is_esp_image(content):
        raise EspImageError("is no ESP32 firmware")
    if len(content) > LIMIT_BYTES:
        raise EspImageError(f"is larger than {LIMIT_BYTES >> 20} MB")
    bootloader = _load(content, "bootloader")
    chip, start = _chip(bootloader)
    partitions = _parse_table(content[TABLE_ADDRESS - start :][:_TABLE_BYTES])
    image = EspImage(chip, start, bootloader.flash_size, partitions)
    _check_program(content, image)
    return image


def _load(content: bytes, what: str) -> _Header:
    """Walk one of the parts that the chip runs, and compare its checksum and its hash."""
    if len(content) < _HEADER.size or content[0] != _MAGIC:
        raise EspImageError(f"is not whole: it has no {what}")
    _, segments, _, size_and_frequency, chip_id, has_hash = _HEADER.unpack_from(content)
    end, checksum = _HEADER.size, 0xEF
    for _ in range(segments):
        if end + _SEGMENT.size > len(content):
            raise _cut_off(what)
        _, size = _SEGMENT.unpack_from(content, end)
        start, end = end + _SEGMENT.size, end + _SEGMENT.size + size
        if end > len(content):
            raise _cut_off(what)
        checksum ^= _xor(content[start:end])
    # The checksum is the last byte of 16
    end += 16 - end % 16
    if end + _HASH_BYTES * has_hash > len(content):
        raise _cut_off(what)
    if content[end - 1] != checksum:
        raise EspImageError(f"is damaged: the checksum of its {what} is wrong")
    if has_hash and content[end : end + _HASH_BYTES] != hashlib.sha256(content[:end]).digest():
        raise EspImageError(f"is damaged: the SHA-256 of its {what} is wrong")
    return _Header(chip_id, 1 << 20 + (size_and_frequency >> 4))


def _cut_off(what: str) -> EspImageError:
    return EspImageError(f"is not whole: its {what} is cut off")


def _xor(content: bytes) -> int:
    """All bytes together, by XOR; by halves, which is fast for megabytes."""
    size = len(content) // 2
    if not size:
        return content[0] if content else 0
    low, high, rest = content[:size], content[size : 2 * size], content[2 * size :]
    folded = int.from_bytes(low, "big") ^ int.from_bytes(high, "big")
    return _xor(folded.to_bytes(size, "big")) ^ _xor(rest)


def _chip(header: _Header) -> tuple[str, int]:
    # Late: esptool takes longer to load than most commands take to run
    from esptool.targets import CHIP_DEFS

    for chip in CHIP_DEFS.values():
        if header.chip_id == chip.IMAGE_CHIP_ID:
            return chip.CHIP_NAME, chip.BOOTLOADER_FLASH_OFFSET
    raise EspImageError(f"is for a chip that esptool does not know (id {header.chip_id})")


def _parse_table(table: bytes) -> tuple[Partition, ...]:
    found: list[Partition] = []
    for at in range(0, len(table) - _ENTRY.size + 1, _ENTRY.size):
        magic, kind, _, address, size, label, _ = _ENTRY.unpack_from(table, at)
        if magic == _MD5_MAGIC:
            if table[at + 16 : at + 32] != hashlib.md5(table[:at]).digest():
                raise EspImageError("is damaged: the MD5 of its partition table is wrong")
            break
        if magic != _ENTRY_MAGIC:
            break
        if address + size > LIMIT_BYTES:
            raise EspImageError("is damaged: a partition lies behind any flash")
        name = label.split(b"\0")[0].decode("ascii", "replace")
        found.append(Partition(name, kind, address, size))
    if not found:
        raise EspImageError(f"has no partition table at {TABLE_ADDRESS:#x}: it is not whole")
    return tuple(found)


def _check_program(content: bytes, image: EspImage) -> None:
    programs = [part for part in image.partitions if part.kind == _APPLICATION]
    if not programs:
        raise EspImageError("names no partition for a program")
    program = min(programs, key=lambda part: part.address)
    _load(content[max(program.address - image.start, 0) :], "program")
