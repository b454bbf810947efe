"""Images: stock firmware and our software in one file, for every kind of board."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest
from doubles.stock_images import ESP32, ESP32_S3, RP2_SIZE, VFS, esp_stock, filling, rp2_stock

from host_tools import file_system, uf2
from host_tools.board_files import boards
from host_tools.chips import CHIPS, XIP_BASE, Region
from host_tools.configuration import ConfigurationProblem
from host_tools.credentials import CredentialError
from host_tools.file_system import BLOCK_BYTES
from host_tools.image import ImageError, check_software, make_image
from host_tools.tree import source_tree

GREETING = b"MicroPython v1.28.0 on 2026-04-06\0; Raspberry Pi Pico W with RP2040\r\n\0"
PICO_W = Region(1200 << 10, 848 << 10)
PICO2_W = Region(1536 << 10, 2560 << 10)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small firmware, and the boards that it is for."""
    firmware = tmp_path / "root" / "firmware"
    for name, text in {
        "boot.py": "BOOT = 1\n",
        "main.py": "MAIN = 1\n",
        "pnp/twin.py": "def answer():\n    return 42\n",
        "models/room.json": '{"@id": "dtmi:com:example:Room;1"}',
        "roots/ca.der": "0\x82",
    }.items():
        (firmware / name).parent.mkdir(parents=True, exist_ok=True)
        (firmware / name).write_text(text)
    for board in ("ESP32_GENERIC", "ESP32_GENERIC_S3", "RPI_PICO_W", "RPI_PICO2_W"):
        folder = tmp_path / "root" / "boards" / board
        folder.mkdir(parents=True)
        (folder / "board.py").write_text(f"NAME = {board!r}\n")
        (folder / "manifest.py").write_text(
            'for_all = "../../firmware"\n'
            'module("boot.py", base_path=for_all)\n'
            'module("main.py", base_path=for_all)\n'
            'package("pnp", base_path=for_all)\n'
            'module("board.py")\n'
            'require("umqtt.simple")\n'
        )
    return tmp_path / "root"


HUGE, BELOW = Region(1 << 20, 1 << 40), Region(-4096, 1 << 20)


def saved(folder: Path, content: bytes) -> Path:
    path = folder / "stock.bin"
    path.write_bytes(content)
    return path


def flashed(content: bytes, region: Region, before: bytes = b"\xff") -> bytes:
    """The region of a flash that held `before`, as RP2040's boot ROM leaves it.

    Source: RP2040 datasheet 2.8.4.2.
    """
    flash = bytearray(before * (4 << 20))
    erased: set[int] = set()
    for address, page in uf2.parse_uf2(content).pages.items():
        offset = address - XIP_BASE
        sector = offset // 4096
        if sector not in erased:
            erased.add(sector)
            flash[sector * 4096 : (sector + 1) * 4096] = b"\xff" * 4096
        flash[offset : offset + 256] = page
    return bytes(flash[region.offset : region.end])


def crc_of(line: bytes) -> bool:
    text, _, crc = line.rstrip(b"\n").rpartition(b" ")
    return int(crc, 16) == zlib.crc32(text)


@pytest.mark.parametrize(
    ("board", "stock", "region"),
    [
        ("RPI_PICO_W", rp2_stock(frozen=GREETING), PICO_W),
        ("RPI_PICO2_W", rp2_stock(uf2.RP2350_ARM_S), PICO2_W),
        ("RPI_PICO_W", rp2_stock(told=Region(1 << 20, 1 << 20)), Region(1 << 20, 1 << 20)),
        ("RPI_PICO_W", rp2_stock(told=Region(1 << 20, 0xFFFFF000)), PICO_W),
    ],
)
def test_a_uf2_holds_stock_firmware_and_software(
    board: str, stock: bytes, region: Region, tmp_path: Path, root: Path
) -> None:
    joined = make_image(board, saved(tmp_path, stock), root=root)
    assert joined.region == region
    image, original = uf2.parse_uf2(joined.content), uf2.parse_uf2(stock)
    assert (image.family, image.preface) == (original.family, original.preface)
    assert uf2.read_memory(image.pages, XIP_BASE, RP2_SIZE) == uf2.read_memory(
        original.pages, XIP_BASE, RP2_SIZE
    )
    # Whatever was in the flash before
    for before in (b"\xff", b"\x00", b"\xa5"):
        files = file_system.read(flashed(joined.content, region, before), 256)
        assert check_software(files) == joined.version
    assert sorted(files) == [
        "a/board.mpy",
        "a/files.json",
        "a/models/room.json",
        "a/pnp/twin.mpy",
        "a/roots/ca.der",
        "a/umqtt/simple.mpy",
        "boot.py",
        "main.py",
        "slot",
    ]
    assert files["slot"].startswith(b"a good ")
    assert crc_of(files["slot"])


def test_a_sector_is_written_whole_or_not_at_all(tmp_path: Path, root: Path) -> None:
    """Erratum RP2040-E14: the boot ROM may leave the rest of a sector unwritten."""
    joined = make_image("RPI_PICO_W", saved(tmp_path, rp2_stock()), root=root)
    pages = set(uf2.parse_uf2(joined.content).pages)
    for sector in {address - address % 4096 for address in pages}:
        assert pages.issuperset(range(sector, sector + 4096, 256))


@pytest.mark.parametrize("vfs", [VFS, None])
@pytest.mark.parametrize(
    ("board", "chip_id", "start"),
    [("ESP32_GENERIC", ESP32, 0x1000), ("ESP32_GENERIC_S3", ESP32_S3, 0)],
)
def test_a_bin_holds_stock_firmware_and_software(
    board: str, chip_id: int, start: int, vfs: Region | None, tmp_path: Path, root: Path
) -> None:
    """From MicroPython 1.26 on, the partition table has no `vfs`: the port makes one."""
    stock = esp_stock(chip_id, vfs)
    joined = make_image(board, saved(tmp_path, stock), root=root)
    assert joined.region == Region(0x200000, 0x200000)
    assert joined.flash_size == (None if vfs else 4 << 20)
    assert joined.content.startswith(stock)
    system = joined.content[joined.region.offset - start :]
    assert len(system) % BLOCK_BYTES == 0
    whole = system.ljust(joined.region.size, b"\0")
    assert check_software(file_system.read(whole, 32)) == joined.version


def test_umqtt_that_is_frozen_is_not_put_in(tmp_path: Path, root: Path) -> None:
    frozen = b"\0umqtt/simple.py\0"
    stocks = {
        "ESP32_GENERIC": (esp_stock(program=filling(5000) + frozen), 32),
        "RPI_PICO_W": (rp2_stock(frozen=frozen), 256),
    }
    for board, (stock, program_bytes) in stocks.items():
        joined = make_image(board, saved(tmp_path, stock), root=root)
        if board == "RPI_PICO_W":
            system = flashed(joined.content, joined.region)
        else:
            system = joined.content[joined.region.offset - 0x1000 :]
            system = system.ljust(joined.region.size, b"\xff")
        names = file_system.read(system, program_bytes)
        assert "a/pnp/twin.mpy" in names
        assert "a/umqtt/simple.mpy" not in names


def test_the_same_input_makes_the_same_image(tmp_path: Path, root: Path) -> None:
    stock = saved(tmp_path, rp2_stock())
    first = make_image("RPI_PICO_W", stock, root=root)
    assert make_image("RPI_PICO_W", stock, root=root) == first


X509 = {
    "version": 1,
    "connection_string": "HostName=h;DeviceId=d;x509=true",
    "certificate": "device.der",
    "private_key": "device.key.der",
}


def private(path: Path, content: str) -> Path:
    path.touch(0o600)
    path.write_text(content)
    return path


def test_the_configuration_comes_with_the_files_that_it_names(tmp_path: Path, root: Path) -> None:
    config = private(tmp_path / "config.json", json.dumps(X509, indent=4))
    (tmp_path / "device.der").write_text("certificate")
    private(tmp_path / "device.key.der", "key")
    joined = make_image("RPI_PICO_W", saved(tmp_path, rp2_stock()), config, root=root)
    files = file_system.read(flashed(joined.content, PICO_W), 256)
    assert json.loads(files["config.json"]) == X509
    assert files["device.der"] == b"certificate"
    assert files["device.key.der"] == b"key"


@pytest.mark.parametrize(
    ("content", "error", "told"),
    [
        ("[]", ConfigurationProblem, "config"),
        ("{", ConfigurationProblem, "config"),
        (json.dumps({"version": 1, "zonen": []}), ConfigurationProblem, "zonen"),
        (json.dumps({**X509, "private_key": "../key.der"}), ConfigurationProblem, "key"),
        (json.dumps({**X509, "certificate": "main.py"}), ImageError, "main"),
    ],
)
def test_a_configuration_that_a_board_would_refuse_is_refused(
    content: str, error: type[Exception], told: str, tmp_path: Path, root: Path
) -> None:
    config = private(tmp_path / "config.json", content)
    with pytest.raises(error, match=told):
        make_image("RPI_PICO_W", saved(tmp_path, rp2_stock()), config, root=root)


def test_secrets_that_others_may_read_are_refused(tmp_path: Path, root: Path) -> None:
    config = private(tmp_path / "config.json", json.dumps(X509))
    stock = saved(tmp_path, rp2_stock())
    (tmp_path / "device.der").write_text("certificate")
    (tmp_path / "device.key.der").write_text("key")
    with pytest.raises(CredentialError, match=r"device\.key\.der"):
        make_image("RPI_PICO_W", stock, config, root=root)
    config.chmod(0o644)
    with pytest.raises(CredentialError, match=r"config\.json"):
        make_image("RPI_PICO_W", stock, config, root=root)


@pytest.mark.parametrize(
    ("board", "stock", "told"),
    [
        ("RPI_PICO_W", rp2_stock(uf2.RP2350_ARM_S), "is for RP2350, not for RP2040"),
        ("RPI_PICO_W", rp2_stock(frozen=b"; Raspberry Pi Pico with RP2040"), "not for Raspb.* W"),
        ("RPI_PICO_W", rp2_stock(frozen=b"MicroPython v1.24.1 on 2024"), "is MicroPython v1.24"),
        ("RPI_PICO2_W", rp2_stock(), "is for RP2040, not for RP2350"),
        ("ESP32_GENERIC", esp_stock(ESP32_S3), "is for ESP32-S3, not for ESP32"),
        ("ESP32_GENERIC", rp2_stock(), "no ESP32 firmware"),
        ("RPI_PICO_W", esp_stock(), "no UF2"),
        ("RPI_PICO_W", rp2_stock()[:-512], "not complete"),
        ("RPI_PICO_W", rp2_stock(size=1300 << 10), "reaches into the file system"),
        ("ESP32_GENERIC", esp_stock(program=filling(0x200000)), "reaches into the file system"),
        ("ESP32_GENERIC", esp_stock(label=b"ffat"), "FAT file system, in its partition 'ffat'"),
        ("ESP32_GENERIC", esp_stock(vfs=None, flash_size_code=1), "0 KB behind .* 2 MB; .*-size"),
        ("ESP32_GENERIC", esp_stock(vfs=None, flash_size_code=0), "0 KB behind .* 1 MB; .*-size"),
        ("ESP32_GENERIC", esp_stock(flash_size_code=1), "behind the flash"),
        ("ESP8266_GENERIC", esp_stock(), "no image can be made"),
    ],
)
def test_what_does_not_fit_is_refused(
    board: str, stock: bytes, told: str, tmp_path: Path, root: Path
) -> None:
    with pytest.raises(ImageError, match=told):
        make_image(board, saved(tmp_path, stock), root=root)


def test_our_own_image_is_no_stock_image(tmp_path: Path, root: Path) -> None:
    for board, stock in {"RPI_PICO_W": rp2_stock(), "ESP32_GENERIC": esp_stock()}.items():
        joined = make_image(board, saved(tmp_path, stock), root=root)
        with pytest.raises(ImageError, match="reaches into"):
            make_image(board, saved(tmp_path, joined.content), root=root)


def test_the_place_of_the_file_system_can_be_named(tmp_path: Path, root: Path) -> None:
    stock = saved(tmp_path, rp2_stock())
    region = Region(1 << 20, 256 << 10)
    joined = make_image("RPI_PICO_W", stock, region=region, root=root)
    assert joined.region == region
    assert check_software(file_system.read(flashed(joined.content, region), 256))
    for wrong in (Region(1000, 256 << 10), Region(1 << 20, 1000), Region(0, 0), HUGE, BELOW):
        with pytest.raises(ImageError, match="--filesystem"):
            make_image("RPI_PICO_W", stock, region=wrong, root=root)


@pytest.mark.parametrize("megabytes", [8, 16, 32])
def test_a_file_system_ends_where_the_boards_flash_ends(
    megabytes: int, tmp_path: Path, root: Path
) -> None:
    stock = saved(tmp_path, esp_stock(ESP32_S3, vfs=None))
    size = megabytes << 20
    joined = make_image("ESP32_GENERIC_S3", stock, flash_size=size, root=root)
    assert (joined.region, joined.flash_size) == (Region(0x200000, size - 0x200000), size)
    system = joined.content[joined.region.offset :].ljust(joined.region.size, b"\0")
    assert check_software(file_system.read(system, 32)) == joined.version


def test_what_is_told_of_a_flash_counts_more_than_what_the_image_says(
    tmp_path: Path, root: Path
) -> None:
    region = Region(0x600000, 0x200000)
    for vfs in (region, None):
        stock = saved(tmp_path, esp_stock(vfs=vfs))
        named = make_image("ESP32_GENERIC", stock, region=region, root=root)
        assert (named.region, named.flash_size) == (region, None)
    large = saved(tmp_path, esp_stock(vfs=region))
    assert make_image("ESP32_GENERIC", large, flash_size=8 << 20, root=root).region == region
    for size in (2 << 20, 7 << 20):
        with pytest.raises(ImageError, match=f"behind the flash of {size >> 20} MB"):
            make_image("ESP32_GENERIC", large, flash_size=size, root=root)
    with pytest.raises(ImageError, match="--flash-size is for ESP32"):
        make_image("RPI_PICO_W", saved(tmp_path, rp2_stock()), flash_size=4 << 20, root=root)


def test_damaged_software_is_found(tmp_path: Path, root: Path) -> None:
    joined = make_image("RPI_PICO_W", saved(tmp_path, rp2_stock()), root=root)
    files = file_system.read(flashed(joined.content, PICO_W), 256)
    for changed in ({"a/board.mpy": b"M"}, {"a/files.json": b"{}"}):
        with pytest.raises(ImageError):
            check_software({**files, **changed})
    with pytest.raises(ImageError, match="none of our software"):
        check_software({})


def test_every_board_has_its_chip() -> None:
    assert set(CHIPS) == set(boards(source_tree())) - {"UNIX"}
