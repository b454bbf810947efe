"""The pseudo-board's flash seen from outside: a file that holds a LittleFS2 of MicroPython's."""

from __future__ import annotations

from pathlib import Path

from littlefs import LittleFS

BLOCK_BYTES = 4096
# What ports/rp2 takes for its flash
_PROGRAM_BYTES = 256
# As MicroPython has it: with less, files that it keeps inside their folder cannot be read
_CACHE_BYTES = 4 * _PROGRAM_BYTES


def create(path: Path, size_kb: int) -> None:
    """An empty file system."""
    _save(_open(bytes(size_kb * 1024), mount=False), path)


def files(path: Path) -> dict[str, bytes]:
    """Every file, by its path from the root with a slash first."""
    return _files(_open(path.read_bytes(), mount=True))


def write(path: Path, name: str, content: bytes) -> None:
    """Put a file there, with the folders above it. The board must be off."""
    system = _open(path.read_bytes(), mount=True)
    folder = name.rpartition("/")[0]
    if folder:
        system.makedirs(folder, exist_ok=True)
    with system.open(name, "wb") as file:
        file.write(content)
    _save(system, path)


def remove(path: Path, name: str) -> None:
    system = _open(path.read_bytes(), mount=True)
    system.remove(name)
    _save(system, path)


def free_blocks(path: Path) -> int:
    system = _open(path.read_bytes(), mount=True)
    return int(system.block_count - system.used_block_count)


def _files(system: LittleFS) -> dict[str, bytes]:
    found = {}
    for folder, _, names in system.walk("/"):
        for name in names:
            full = f"{folder.rstrip('/')}/{name}"
            with system.open(full, "rb") as file:
                found[full] = file.read()
    return found


def _open(content: bytes, mount: bool) -> LittleFS:
    system = LittleFS(
        block_size=BLOCK_BYTES,
        block_count=len(content) // BLOCK_BYTES,
        prog_size=_PROGRAM_BYTES,
        read_size=_PROGRAM_BYTES,
        cache_size=_CACHE_BYTES,
        mount=False,
    )
    system.context.buffer[:] = content
    if not mount:
        system.format()
    system.mount()
    return system


def _save(system: LittleFS, path: Path) -> None:
    path.write_bytes(bytes(system.context.buffer))
