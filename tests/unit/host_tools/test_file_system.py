"""File systems in memory: what is put in comes out, whatever the flash held before."""

from __future__ import annotations

import pytest
from doubles.stock_images import filling
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools import file_system
from host_tools.file_system import BLOCK_BYTES, FileSystemError

SIZE = 256 << 10
NAMES = st.text("abcdefgh", min_size=1, max_size=8)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


def flash_with(files: dict[str, bytes], before: int) -> bytes:
    flash = bytearray(bytes((before,)) * SIZE)
    for number, block in file_system.build(files, SIZE, 256).items():
        flash[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES] = block
    return bytes(flash)


@settings(max_examples=30)
@given(st.dictionaries(NAMES, st.binary(max_size=9000), max_size=6), PATHS, st.integers(0, 255))
def test_what_is_put_in_comes_out(files: dict[str, bytes], path: str, before: int) -> None:
    files = {f"a/{name}": content for name, content in files.items()} | {f"b/{path}": b"deep"}
    assert file_system.read(flash_with(files, before), 256) == files


def test_files_without_room_are_refused() -> None:
    with pytest.raises(FileSystemError, match="do not go into"):
        file_system.build({"large": filling(100_000)}, 64 << 10, 256)


def test_a_block_of_erased_bytes_is_a_block_that_is_written() -> None:
    """Else a file of 0xFF would read as whatever the flash held before."""
    files = {"erased": b"\xff" * 20_000}
    assert file_system.read(flash_with(files, 0), 256) == files


@pytest.mark.parametrize("content", [b"", b"\7" * BLOCK_BYTES, b"\7" * 16 * BLOCK_BYTES])
def test_what_is_none_is_refused(content: bytes) -> None:
    with pytest.raises(FileSystemError, match="cannot be read"):
        file_system.read(content, 256)


def test_how_large_it_is_stands_in_it() -> None:
    whole = flash_with({"a": b"1"}, 0xFF)
    assert file_system.told_size(whole) == SIZE
    assert file_system.told_size(bytes(BLOCK_BYTES) + whole[BLOCK_BYTES:]) == SIZE
    for content in (b"", bytes(20), b"\xff" * 3 * BLOCK_BYTES, whole[:BLOCK_BYTES][:20]):
        assert file_system.told_size(content) is None
