"""LittleFS2 file systems as MicroPython's ports make and mount them, in memory.

Source: MicroPython extmod/vfs_lfs.c and vfs_lfsx.c (parameters and their defaults); LittleFS
SPEC.md (version 2.0 on disk, which every MicroPython since 1.25 mounts).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from littlefs import LittleFS
from littlefs.context import UserContext
from littlefs.errors import LittleFSError
from littlefs.lfs import LFSConfig

BLOCK_BYTES = 4096
# LittleFS keeps its root twice. Given fewer blocks, its library would go by what is written there.
_SMALLEST_BYTES = 2 * BLOCK_BYTES
_READ_BYTES = 32
_LOOKAHEAD_BYTES = 32
_BLOCK_CYCLES = 100
_DISK_VERSION = 0x00020000


# A superblock: its revision, a tag, its name, a tag; then version, size of a block, their number
_NAME, _NAME_AT = b"littlefs", 8
_BLOCK_COUNT = struct.Struct("<28xI")


class FileSystemError(Exception):
    """A file system cannot be made or read; the text says why."""


def build(files: Mapping[str, bytes], size: int, program_bytes: int) -> dict[int, bytes]:
    """A LittleFS2 with these files: the blocks that it has written, by their number.

    Blocks that are not in it may hold anything. The same files make the same blocks.
    Raises FileSystemError if they have no room.
    """
    flash = _Flash(size)
    system = _open(flash, program_bytes)
    try:
        system.format()
        system.mount()
        for name in sorted(files):
            folder = name.rpartition("/")[0]
            if folder:
                system.makedirs(folder, exist_ok=True)
            with system.open(name, "wb") as target:
                target.write(files[name])
        system.unmount()
    except LittleFSError as error:
        total = sum(len(content) for content in files.values())
        raise FileSystemError(
            f"{len(files)} files with {total >> 10} KB do not go into a file system of "
            f"{size >> 10} KB ({error.name})"
        ) from None
    return {number: flash.block(number) for number in sorted(flash.written)}


def read(content: bytes, program_bytes: int) -> dict[str, bytes]:
    """All files of a LittleFS2. Raises FileSystemError."""
    if len(content) < _SMALLEST_BYTES:
        raise FileSystemError("its file system cannot be read (it has no two blocks)")
    flash = _Flash(len(content))
    flash.buffer[:] = content
    system = _open(flash, program_bytes)
    files: dict[str, bytes] = {}
    try:
        system.mount()
        for folder, _, names in system.walk("/"):
            for name in names:
                path = f"{folder.rstrip('/')}/{name}"
                with system.open(path, "rb") as source:
                    files[path.lstrip("/")] = source.read()
    except LittleFSError as error:
        raise FileSystemError(f"its file system cannot be read ({error.name})") from None
    return files


def told_size(content: bytes) -> int | None:
    """The bytes of the LittleFS2 that `content` begins with, as it says; None: it is none.

    It is mounted only by a port that has just as many for it.
    """
    for start in (0, BLOCK_BYTES):
        block = content[start : start + _BLOCK_COUNT.size]
        if len(block) == _BLOCK_COUNT.size and block.startswith(_NAME, _NAME_AT):
            (count,) = _BLOCK_COUNT.unpack(block)
            return int(count) * BLOCK_BYTES
    return None


class _Flash(UserContext):
    """An erased flash that remembers which blocks were written."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.written: set[int] = set()

    def prog(self, cfg: LFSConfig, block: int, off: int, data: bytes) -> int:
        self.written.add(block)
        return int(super().prog(cfg, block, off, data))

    def block(self, number: int) -> bytes:
        start = number * BLOCK_BYTES
        return bytes(self.buffer[start : start + BLOCK_BYTES])


def _open(flash: _Flash, program_bytes: int) -> LittleFS:
    return LittleFS(
        flash,
        mount=False,
        block_size=BLOCK_BYTES,
        block_count=flash.in_size // BLOCK_BYTES,
        read_size=_READ_BYTES,
        prog_size=program_bytes,
        cache_size=4 * max(_READ_BYTES, program_bytes),
        lookahead_size=_LOOKAHEAD_BYTES,
        block_cycles=_BLOCK_CYCLES,
        disk_version=_DISK_VERSION,
    )
