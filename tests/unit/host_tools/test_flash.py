"""Images before a board is touched: stock ones, ours, and those of others."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from doubles.stock_images import VFS, esp_stock, filling, rp2_stock

from host_tools import file_system, flash, uf2
from host_tools.chips import XIP_BASE, Region
from host_tools.flash import FlashError, Job, download, load_firmware

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


def with_vfs(
    damaged: bool = False, vfs: Region | None = VFS, files: Mapping[str, bytes] = OTHERS
) -> bytes:
    content = bytearray(esp_stock(vfs=vfs).ljust(VFS.end - 0x1000, b"\xff"))
    for number, block in file_system.build(files, VFS.size, 32).items():
        at = VFS.offset - 0x1000 + number * file_system.BLOCK_BYTES
        content[at : at + len(block)] = bytes(len(block)) if damaged else block
    return bytes(content)


OURS = {"a/files.json": b'{"version": "1.2", "files": {}}'}


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
        with_vfs(vfs=None),
        # Of others, in a form of their own
        with_vfs(vfs=None, damaged=True),
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


@pytest.mark.parametrize("vfs", [VFS, None])
def test_our_software_is_found_in_a_partition_and_behind_all_of_them(
    vfs: Region | None, tmp_path: Path
) -> None:
    content = with_vfs(vfs=vfs, files=OURS)
    assert load(tmp_path, content) == "1.2"
    # One of the two copies of the root is enough
    at = VFS.offset - 0x1000
    half = content[:at] + bytes(4096) + content[at + 4096 :]
    assert load(tmp_path, half) == "1.2"
    # And what says that it is a file system has to be one
    superblock = content[: at + 40].ljust(at + 8192, b"\0")
    with pytest.raises(FlashError, match="file system cannot be read"):
        load(tmp_path, superblock)


def test_an_image_of_no_board_of_ours_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(rp2_stock(0x12345678))
    assert load_firmware(path).chip == "chips of family 0x12345678"


def test_an_image_that_is_not_there_or_for_no_board(tmp_path: Path) -> None:
    with pytest.raises(FlashError, match="No such file or directory; name an image file"):
        load_firmware(tmp_path / "gone.uf2")
    with pytest.raises(FlashError, match=r"there is no board 'TOASTER'; there are .*RPI_PICO_W"):
        load_firmware(tmp_path / "gone.uf2", "TOASTER")


def test_the_state_of_a_board_at_each_moment() -> None:
    job = Job(lambda *_: None)
    assert job.state() == "nothing on the board was changed"
    job.restarted = True
    assert job.state() == "nothing on the board was changed, and it was started again"
    job.touched = True
    assert job.state().endswith("the same command again mends it")
    job.finished = True
    assert job.state() == "the new firmware is on the board, whole and verified"


Mpflash = Callable[[Path], int]


@pytest.fixture
def mpflash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Mpflash], None]:
    """Let mpflash do something to the folder of images."""
    monkeypatch.setattr(flash, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")

    def will(work: Mpflash) -> None:
        def run(*_: object, env: dict[str, str], **__: object) -> Any:
            return SimpleNamespace(returncode=work(Path(env["MPFLASH_FIRMWARE"])))

        monkeypatch.setattr(subprocess, "run", run)

    return will


def test_the_newest_plain_image_that_mpflash_has_got(
    mpflash: Callable[[Mpflash], None], tmp_path: Path
) -> None:
    def fetch(folder: Path) -> int:
        names = ("RPI_PICO_W-v1.26.0.uf2", "RPI_PICO_W-v1.25.0.uf2", "RPI_PICO_W-THREAD-v1.9.uf2")
        for age, name in enumerate(names):
            (folder / name).touch()
            os.utime(folder / name, (1e9 - age, 1e9 - age))
        return 0

    mpflash(fetch)
    assert download("RPI_PICO_W") == tmp_path / "micropython" / "RPI_PICO_W-v1.26.0.uf2"


def test_an_image_that_mpflash_does_not_get_is_fetched_by_hand(
    mpflash: Callable[[Mpflash], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(_: Path) -> int:
        raise subprocess.TimeoutExpired("mpflash", 300)

    for work in (hang, lambda _: 0, lambda _: 1):
        mpflash(work)
        with pytest.raises(FlashError, match=r"by hand .* and run: thermo flash FILE"):
            download("RPI_PICO_W")
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(FlashError, match="mpflash, which would fetch one, is not there"):
        download("RPI_PICO_W")
