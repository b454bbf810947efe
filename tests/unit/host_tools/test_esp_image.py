"""ESP32 images: what they say of themselves is read, and what is not whole is refused."""

from __future__ import annotations

import struct

import pytest
from doubles.stock_images import (
    ESP32,
    ESP32_C3,
    ESP32_S3,
    STARTS,
    esp_part,
    esp_stock,
    partition_table,
)
from hypothesis import given
from hypothesis import strategies as st

from host_tools.esp_image import LIMIT_BYTES, EspImageError, Partition, parse_esp_image

STOCK = esp_stock()
TABLE = 0x8000 - STARTS[ESP32]


def with_table(table: bytes) -> bytes:
    return STOCK[:TABLE] + table + STOCK[TABLE + len(table) :]


def row(kind: int, address: int, size: int) -> bytes:
    return struct.pack("<2sBBII16sI", b"\xaa\x50", kind, 0, address, size, b"app", 0)


@pytest.mark.parametrize(
    ("chip_id", "chip", "start"),
    [(ESP32, "ESP32", 0x1000), (ESP32_S3, "ESP32-S3", 0), (ESP32_C3, "ESP32-C3", 0)],
)
def test_an_image_tells_its_chip_and_where_it_begins(chip_id: int, chip: str, start: int) -> None:
    image = parse_esp_image(esp_stock(chip_id))
    assert (image.chip, image.start) == (chip, start)
    assert image.flash_size == 4 << 20
    assert image.partition("vfs") == Partition("vfs", 1, 0x200000, 0x200000)
    assert image.partition("ota_0") is None


def test_a_larger_flash_is_told() -> None:
    assert parse_esp_image(esp_stock(ESP32_S3, flash_size_code=3)).flash_size == 8 << 20


@given(st.integers(0, len(STOCK) - 1))
def test_an_image_that_is_cut_off_anywhere_is_refused(size: int) -> None:
    with pytest.raises(EspImageError):
        parse_esp_image(STOCK[:size])


@given(st.integers(0, len(STOCK) - 1), st.integers(1, 255))
def test_a_changed_byte_is_found_or_lies_between_the_parts(at: int, change: int) -> None:
    content = bytearray(STOCK)
    content[at] ^= change
    try:
        found = parse_esp_image(bytes(content))
    except EspImageError:
        return
    assert STOCK[at] == 0xFF  # no part of the image covers it: filling
    assert found == parse_esp_image(STOCK)


@given(st.binary(max_size=300))
def test_any_bytes_are_refused(content: bytes) -> None:
    for candidate in (content, b"\xe9" + content):
        with pytest.raises(EspImageError):
            parse_esp_image(candidate)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no ESP32 firmware"),
        (b"UF2\n", "no ESP32 firmware"),
        (esp_part(ESP32, b"x" * 5000), "no partition table"),
        (esp_stock(999), "does not know"),
        (STOCK[:0x12000], "program is cut off"),
        (b"\xe9" + bytes(LIMIT_BYTES), "is larger than [0-9]+ MB"),
        (with_table(partition_table(None)[:-16] + bytes(16)), "MD5 of its partition table"),
        (with_table(row(0, LIMIT_BYTES - 1, 2)), "a partition lies behind any flash"),
        (with_table(row(1, 0x9000, 0x6000) + bytes(32)), "names no partition for a program"),
    ],
)
def test_the_reason_is_told(content: bytes, told: str) -> None:
    with pytest.raises(EspImageError, match=told):
        parse_esp_image(content)
