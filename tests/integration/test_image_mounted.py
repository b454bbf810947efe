"""Images are mounted by MicroPython itself, as a board's port mounts them, and run from."""

from __future__ import annotations

import json
import random
import subprocess
import zlib
from pathlib import Path

import pytest
from doubles.stock_images import ESP32_C3, ESP32_S3, VFS, esp_stock, rp2_stock
from fake_esp_loader import FakeEspLoader, hasten
from pseudo_board import PseudoBoard

from host_tools import cli, uf2
from host_tools.chips import CHIPS, XIP_BASE, Region, Rp2
from host_tools.flash import load_firmware
from host_tools.image import make_image
from host_tools.simulated_device import interpreter

# pyserial's client of RFC 2217 still names its threads in the old way
pytestmark = pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")
SCRIPT = Path(__file__).parent / "run_image.py"


def flash_of(content: bytes, start: int) -> bytes:
    """A flash full of old data, after the image was written to it."""
    flash = bytearray(random.Random(7).randbytes(8 << 20))
    if uf2.is_uf2(content):
        for address, page in uf2.parse_uf2(content).pages.items():
            flash[address - XIP_BASE : address - XIP_BASE + len(page)] = page
    else:
        flash[start : start + len(content)] = content
    return bytes(flash)


@pytest.mark.parametrize(
    ("board", "stock", "start", "megabytes", "blocks"),
    [
        ("RPI_PICO_W", rp2_stock(), 0, None, 212),
        ("RPI_PICO2_W", rp2_stock(uf2.RP2350_ARM_S), 0, None, 640),
        ("ESP32_GENERIC", esp_stock(), 0x1000, None, 512),
        ("ESP32_GENERIC_S3", esp_stock(ESP32_S3), 0, None, 512),
        ("ESP32_GENERIC_C3", esp_stock(ESP32_C3), 0, None, 512),
        ("ESP32_GENERIC_C3", esp_stock(ESP32_C3, vfs=None), 0, None, 512),
        ("ESP32_GENERIC_S3", esp_stock(ESP32_S3, vfs=None), 0, 8, 1536),
    ],
)
def test_micropython_mounts_the_image_and_runs_from_it(
    board: str, stock: bytes, start: int, megabytes: int | None, blocks: int, tmp_path: Path
) -> None:
    firmware = tmp_path / "stock"
    firmware.write_bytes(stock)
    joined = make_image(board, firmware, flash_size=megabytes and megabytes << 20)
    region = tmp_path / "region"
    region.write_bytes(flash_of(joined.content, start)[joined.region.offset : joined.region.end])
    check(region, CHIPS[board].program_bytes, blocks, joined.version)


def check(region: Path, program_bytes: int, blocks: int, version: str) -> None:
    """MicroPython finds in it what belongs there."""
    command = [str(interpreter()), str(SCRIPT), str(region), str(program_bytes)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["wrong"] == []
    assert found["version"] == version
    assert found["marker"] == f"a good {zlib.crc32(b'a good'):08x}\n"
    assert found["root"] == ["a", "boot.py", "main.py", "setpoints.json", "slot"]
    assert found["modules"] == ["/a/iothub/sas.mpy", "/a/pnp/device.mpy"]
    assert (found["written"], found["blocks"]) == (10_000, blocks)


@pytest.mark.parametrize("vfs", [VFS, None])
def test_an_image_that_esptool_wrote_is_mounted(
    vfs: Region | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way: `thermo image`, `thermo flash` to a played chip, MicroPython on its flash."""
    hasten(monkeypatch)
    stock, image = tmp_path / "stock.bin", tmp_path / "all.bin"
    stock.write_bytes(esp_stock(vfs=vfs))
    made = ["image", "--board", "ESP32_GENERIC", "--firmware", str(stock), "-o", str(image)]
    assert cli.main(made) == 0
    board = FakeEspLoader()
    assert cli.main(["flash", str(image), "--port", board.plug()]) == 0
    board.pull()
    region = tmp_path / "region"
    region.write_bytes(board.flash[0x200000:])
    software = load_firmware(image).software
    assert software is not None
    check(region, 32, 512, software)


def test_a_board_starts_from_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No further step: boot.py finds the slot, and the thermostat comes up."""
    unix = Rp2(uf2.RP2040, "RP2040", Region(1200 << 10, 848 << 10), "Raspberry Pi Pico W")
    monkeypatch.setitem(CHIPS, "UNIX", unix)
    firmware = tmp_path / "stock"
    firmware.write_bytes(rp2_stock())
    joined = make_image("UNIX", firmware)
    region = flash_of(joined.content, 0)[joined.region.offset : joined.region.end]
    board = PseudoBoard(tmp_path / "board")
    board.flash_image(region)
    with board:
        board.wait_for("up a", timeout_s=60)
    files = board.files()
    assert files["/slot"] == f"a good {zlib.crc32(b'a good'):08x}\n".encode()
    assert b"Traceback" not in board.transcript
