"""Firmware images as MicroPython's builds are made up, with filling where the program would be."""

from __future__ import annotations

import hashlib
import random
import struct

from host_tools import uf2
from host_tools.chips import XIP_BASE, Region
from host_tools.uf2 import Uf2, build_uf2, pages_of

ESP32, ESP32_C3, ESP32_S3 = 0, 5, 9
STARTS = {ESP32: 0x1000, ESP32_C3: 0, ESP32_S3: 0}
RP2_SIZE = 20_000


def filling(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


PROGRAM = filling(40_000)
VFS = Region(0x200000, 0x200000)


def rp2_stock(
    family: int = uf2.RP2040, told: Region | None = None, frozen: bytes = b"", size: int = RP2_SIZE
) -> bytes:
    """A UF2 file; `told`: where its binary info says that the file system lies."""
    program = bytearray(filling(size)) + frozen
    if told:
        at, entry = 0x1F0, 0x400
        program[at : at + 20] = struct.pack(
            "<5I", 0x7188EBF2, XIP_BASE + 0x300, XIP_BASE + 0x308, 0, 0xE71AA390
        )
        other = entry + 0x40
        program[0x300:0x308] = struct.pack("<2I", XIP_BASE + other, XIP_BASE + entry)
        program[other : other + 4] = struct.pack("<H2s", 6, b"RP")
        program[entry : entry + 16] = struct.pack(
            "<H2sIII", 7, b"MP", XIP_BASE + 0x500, XIP_BASE + told.offset, told.size
        )
    preface = b"" if family == uf2.RP2040 else e10_block()
    return build_uf2(Uf2(family, pages_of(XIP_BASE, bytes(program)), preface))


def e10_block() -> bytes:
    """Erratum RP2350-E10: what Raspberry Pi's tools put in front of files for RP2350."""
    alone = bytearray(build_uf2(Uf2(uf2.ABSOLUTE, {0x10FFFF00: b"\xef" * 256})))
    alone[24:28] = struct.pack("<I", 2)
    return bytes(alone)


def esp_part(chip_id: int, program: bytes, flash_size_code: int = 2) -> bytes:
    """What a chip runs: a header, one segment, its checksum and its SHA-256."""
    checksum = 0xEF
    for byte in program:
        checksum ^= byte
    header = struct.pack(
        "<BBBBI4xH9x?", 0xE9, 1, 0, flash_size_code << 4, 0x40080000, chip_id, True
    )
    header = header[:8] + b"\xee" + header[9:]
    part = header + struct.pack("<II", 0x3F400020, len(program)) + program
    part += bytes(15 - len(part) % 16) + bytes((checksum,))
    return part + hashlib.sha256(part).digest()


def partition_table(vfs: Region | None, label: bytes = b"vfs") -> bytes:
    rows = [(1, 2, 0x9000, 0x6000, b"nvs"), (1, 1, 0xF000, 0x1000, b"phy_init")]
    rows.append((0, 0, 0x10000, 0x1F0000, b"factory"))
    if vfs:
        rows.append((1, 0x81, vfs.offset, vfs.size, label))
    table = b"".join(struct.pack("<2sBBII16sI", b"\xaa\x50", *row, 0) for row in rows)
    return table + b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(table).digest()


def esp_stock(
    chip_id: int = ESP32,
    vfs: Region | None = VFS,
    program: bytes = PROGRAM,
    flash_size_code: int = 2,
    label: bytes = b"vfs",
) -> bytes:
    """A .bin file: bootloader, partition table, program.

    vfs: where its partition for a file system lies; MicroPython's since 1.26 have none.
    """
    start = STARTS.get(chip_id, 0)
    image = esp_part(chip_id, filling(9000, 2), flash_size_code)
    image = image.ljust(0x8000 - start, b"\xff") + partition_table(vfs, label)
    return image.ljust(0x10000 - start, b"\xff") + esp_part(chip_id, program)
