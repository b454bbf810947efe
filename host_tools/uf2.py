"""UF2, the file format that RP2 boards are programmed with: 512-byte blocks, no input or output.

Read is what the boot ROMs of RP2040 and RP2350 take, which is less than the format allows: pages
of 256 bytes for one family. What a boot ROM would drop without a word is refused here.

Source: UF2 specification, microsoft/uf2 README ("File format", "Flags"); RP2040 datasheet 2.8.4.2
and RP2350 datasheet 5.5.2 (UF2 targeting rules, family ids); RP2350 erratum RP2350-E10.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

BLOCK_BYTES = 512
PAGE_BYTES = 256
# The unit of erasing. A file that fills one in part loses the rest of it (erratum RP2040-E14).
SECTOR_BYTES = 4096
# The whole flash that an RP2350 can address twice over; a larger file is none of ours
LIMIT_BYTES = 64 * 1024 * 1024

RP2040 = 0xE48BFF56
ABSOLUTE = 0xE48BFF57
DATA = 0xE48BFF58
RP2350_ARM_S = 0xE48BFF59
RP2350_RISCV = 0xE48BFF5A
RP2350_ARM_NS = 0xE48BFF5B
FAMILIES = {
    RP2040: "RP2040",
    ABSOLUTE: "any RP2 (absolute)",
    DATA: "RP2 data",
    RP2350_ARM_S: "RP2350",
    RP2350_RISCV: "RP2350 (RISC-V)",
    RP2350_ARM_NS: "RP2350 (non-secure)",
}

_HEADER = struct.Struct("<8I")
_MAGIC_0, _MAGIC_1, _MAGIC_END = 0x0A324655, 0x9E5D5157, 0x0AB16F30
_NOT_MAIN_FLASH, _FILE_CONTAINER, _HAS_FAMILY = 0x1, 0x1000, 0x2000
_IGNORED_FILLING = b"\xef" * PAGE_BYTES


class Uf2Error(Exception):
    """A file that is no UF2 file, or not one that an RP2 board takes whole; the text says why."""


@dataclass(frozen=True)
class Uf2:
    """The pages of a UF2 file by their address, for the chips of one family.

    preface: a block that RP2350 files may begin with and that programs nothing (RP2350-E10).
    """

    family: int
    pages: dict[int, bytes]
    preface: bytes = b""


@dataclass(frozen=True)
class _Block:
    flags: int
    address: int
    number: int
    count: int
    family: int
    page: bytes


def is_uf2(content: bytes) -> bool:
    """Does it begin as a UF2 file does?"""
    return content[:8] == struct.pack("<2I", _MAGIC_0, _MAGIC_1)


def parse_uf2(content: bytes) -> Uf2:
    """The whole of a UF2 file. Raises Uf2Error."""
    if len(content) > LIMIT_BYTES:
        raise Uf2Error(f"is larger than {LIMIT_BYTES >> 20} MB")
    if not is_uf2(content):
        raise Uf2Error("is no UF2 file")
    if len(content) % BLOCK_BYTES:
        raise Uf2Error("is cut off in the middle of a block")
    preface = b""
    if _is_ignored(_parse_block(content, 0)):
        preface, content = content[:BLOCK_BYTES], content[BLOCK_BYTES:]
    blocks = [_parse_block(content, at) for at in range(0, len(content), BLOCK_BYTES)]
    blocks = [block for block in blocks if not block.flags & _NOT_MAIN_FLASH]
    return Uf2(_family(blocks), _pages(blocks), preface)


def build_uf2(image: Uf2) -> bytes:
    """The file for `image`, its pages in the order of their addresses."""
    count = len(image.pages)
    built = bytearray(image.preface)
    for number, address in enumerate(sorted(image.pages)):
        page = image.pages[address]
        assert len(page) == PAGE_BYTES
        built += _HEADER.pack(
            _MAGIC_0, _MAGIC_1, _HAS_FAMILY, address, PAGE_BYTES, number, count, image.family
        )
        built += page + bytes(BLOCK_BYTES - _HEADER.size - PAGE_BYTES - 4)
        built += struct.pack("<I", _MAGIC_END)
    return bytes(built)


def pages_of(start: int, content: bytes) -> dict[int, bytes]:
    """`content` from address `start` on, as pages; the last one is filled up with 0xFF."""
    return {
        start + at: content[at : at + PAGE_BYTES].ljust(PAGE_BYTES, b"\xff")
        for at in range(0, len(content), PAGE_BYTES)
    }


def read_memory(pages: Mapping[int, bytes], address: int, size: int) -> bytes:
    """What lies at `address` once the pages are written; bytes that none covers read 0xFF."""
    found = bytearray()
    while len(found) < size:
        offset = (address + len(found)) % PAGE_BYTES
        page = pages.get(address + len(found) - offset, b"\xff" * PAGE_BYTES)
        found += page[offset:]
    return bytes(found[:size])


def _parse_block(content: bytes, at: int) -> _Block:
    magic_0, magic_1, flags, address, size, number, count, family = _HEADER.unpack_from(
        content, at
    )
    (magic_end,) = struct.unpack_from("<I", content, at + BLOCK_BYTES - 4)
    where = f"block {at // BLOCK_BYTES}"
    if (magic_0, magic_1, magic_end) != (_MAGIC_0, _MAGIC_1, _MAGIC_END):
        raise Uf2Error(f"is damaged: {where} has a wrong magic number")
    if size != PAGE_BYTES:
        raise Uf2Error(f"is not for RP2 boards: {where} carries {size} bytes, not {PAGE_BYTES}")
    if address % PAGE_BYTES:
        raise Uf2Error(f"is damaged: {where} lies at {address:#010x}, between two pages")
    if not flags & _HAS_FAMILY or flags & _FILE_CONTAINER:
        raise Uf2Error(f"is not for RP2 boards: {where} names no family of chips")
    start = at + _HEADER.size
    return _Block(flags, address, number, count, family, content[start : start + PAGE_BYTES])


def _is_ignored(block: _Block) -> bool:
    """RP2350-E10: the first of two blocks, of which no second ever comes."""
    numbering = (block.family, block.number, block.count)
    return numbering == (ABSOLUTE, 0, 2) and block.page == _IGNORED_FILLING


def _family(blocks: list[_Block]) -> int:
    families = {block.family for block in blocks}
    if len(families) != 1:
        named = ", ".join(sorted(FAMILIES.get(one, f"{one:#010x}") for one in families))
        raise Uf2Error(f"is for several kinds of chip at once: {named}" if named else "is empty")
    return families.pop()


def _pages(blocks: list[_Block]) -> dict[int, bytes]:
    """The boot ROM starts the program when it has seen as many blocks as each of them counts."""
    counts = {block.count for block in blocks}
    if counts != {len(blocks)}:
        wanted = ", ".join(str(count) for count in sorted(counts)[:3])
        raise Uf2Error(f"is not complete: it has {len(blocks)} blocks, and they count {wanted}")
    if {block.number for block in blocks} != set(range(len(blocks))):
        raise Uf2Error("is damaged: its blocks are not numbered one by one")
    pages = {block.address: block.page for block in blocks}
    if len(pages) != len(blocks):
        raise Uf2Error("is damaged: two of its blocks have the same address")
    return pages
