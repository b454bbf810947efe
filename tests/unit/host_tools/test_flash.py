"""Images before a board is touched: stock ones, ours, and those of others."""

from __future__ import annotations

from pathlib import Path

import pytest
from doubles.stock_images import VFS, esp_stock, filling, rp2_stock

from host_tools import file_system, uf2
from host_tools.chips import XIP_BASE, Region
from host_tools.flash import FlashError, load_firmware

OTHERS = {"main.py": b"print(1)"}
PICO_W = Region(1200 << 10, 848 << 10)


def load(folder: Path, content: bytes) -> str | None:
    path = folder / "image"
    path.write_bytes(content)
    return load_firmware(path).software


def with_file_system(stock: bytes, region: Region, damaged: bool = False) -> bytes:
    image = uf2.parse_uf2(stock)
    for number, block in file_system.build(OTHERS, region.size, 256).items():
        block = bytes(len(block)) if damaged else block
        start = XIP_BASE + region.offset + number * file_system.BLOCK_BYTES
        image.pages.update(uf2.pages_of(start, block))
    return uf2.build_uf2(image)


def with_vfs(damaged: bool = False) -> bytes:
    content = bytearray(esp_stock().ljust(VFS.offset - 0x1000, b"\xff"))
    for number, block in file_system.build(OTHERS, VFS.size, 32).items():
        at = VFS.offset - 0x1000 + number * file_system.BLOCK_BYTES
        content[at : at + len(block)] = bytes(len(block)) if damaged else block
    return bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        rp2_stock(),
        rp2_stock(told=PICO_W),
        # Programs that reach to where other boards have their file systems
        rp2_stock(uf2.RP2350_ARM_S, size=1300 << 10),
        rp2_stock(size=1300 << 10),
        rp2_stock(size=1300 << 10, told=Region(1408 << 10, 640 << 10)),
        with_file_system(rp2_stock(), PICO_W),
        with_file_system(rp2_stock(told=PICO_W), PICO_W),
        esp_stock(),
        esp_stock(vfs=None, program=filling(0x200000)),
        with_vfs(),
    ],
)
def test_an_image_without_our_software_is_taken(content: bytes, tmp_path: Path) -> None:
    assert load(tmp_path, content) is None


@pytest.mark.parametrize(
    "content", [with_file_system(rp2_stock(told=PICO_W), PICO_W, damaged=True), with_vfs(True)]
)
def test_a_damaged_file_system_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(FlashError, match="file system cannot be read"):
        load(tmp_path, content)
