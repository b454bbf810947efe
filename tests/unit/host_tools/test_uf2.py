"""UF2 files: what is built is read again, and nothing that a boot ROM would drop is taken."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools import uf2
from host_tools.uf2 import Uf2, Uf2Error, build_uf2, parse_uf2

START = 0x10000000
FIELDS = ("magic", "magic", "flags", "address", "size", "number", "count", "family")


def image(pages: int = 3, family: int = uf2.RP2040, preface: bytes = b"") -> Uf2:
    content = bytes(range(256)) * pages
    return Uf2(family, uf2.pages_of(START, content), preface)


def e10_block() -> bytes:
    """Erratum RP2350-E10: what Raspberry Pi's tools put in front of files for RP2350."""
    alone = build_uf2(Uf2(uf2.ABSOLUTE, {0x10FFFF00: b"\xef" * 256}))
    return changed(alone, 0, "count", 2)


def changed(content: bytes, block: int, field: str, value: int) -> bytes:
    at = block * uf2.BLOCK_BYTES + 4 * FIELDS.index(field)
    return content[:at] + struct.pack("<I", value) + content[at + 4 :]


@given(
    pages=st.dictionaries(
        st.integers(0, 0xFFFFFF).map(lambda page: page * 256),
        st.binary(min_size=256, max_size=256),
        min_size=1,
        max_size=8,
    ),
    family=st.sampled_from(list(uf2.FAMILIES)),
)
def test_what_is_built_is_read_again(pages: dict[int, bytes], family: int) -> None:
    assert parse_uf2(build_uf2(Uf2(family, pages))) == Uf2(family, pages)


@given(st.binary(max_size=2000))
def test_any_bytes_are_refused_or_read(content: bytes) -> None:
    magic = struct.pack("<2I", 0x0A324655, 0x9E5D5157)
    for candidate in (content, magic + content):
        with pytest.raises(Uf2Error):
            parse_uf2(candidate)


@given(at=st.integers(0, 3 * 512 - 1), value=st.integers(0, 255))
def test_a_changed_byte_is_refused_or_lies_in_what_no_one_can_check(at: int, value: int) -> None:
    good = build_uf2(image())
    content = bytearray(good)
    content[at] = value
    try:
        found = parse_uf2(bytes(content))
    except Uf2Error:
        return
    # Pages, addresses, families and unused flags have no checksum, and the filling means nothing
    word = at % 512 // 4
    in_page_or_filling = 8 <= word < 127
    assert bytes(content) == good or in_page_or_filling or word in (2, 3, 7)
    assert len(found.pages) == 3


def test_the_block_against_the_rp2350_erratum_is_kept_and_programs_nothing() -> None:
    content = e10_block() + build_uf2(image(family=uf2.RP2350_ARM_S))
    found = parse_uf2(content)
    assert found.family == uf2.RP2350_ARM_S
    assert sorted(found.pages) == [START, START + 256, START + 512]
    assert build_uf2(found) == content


def test_blocks_for_elsewhere_than_the_flash_are_passed_by() -> None:
    content = build_uf2(image()) + build_uf2(Uf2(uf2.RP2040, {0: b"x" * 256}))
    assert len(parse_uf2(changed(content, 3, "flags", 0x2001)).pages) == 3


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no UF2"),
        (b"MZ" * 256, "no UF2"),
        (build_uf2(image())[:-1], "cut off"),
        (build_uf2(image())[:-512], "not complete"),
        (e10_block(), "empty"),
        (build_uf2(image()) * 2, "not complete"),
        (build_uf2(image()) + build_uf2(image(family=uf2.RP2350_ARM_S)), "several kinds"),
        (changed(build_uf2(image()), 1, "number", 0), "numbered"),
        (changed(build_uf2(image()), 1, "address", START), "same address"),
        (changed(build_uf2(image()), 1, "address", START + 5), "between two pages"),
        (changed(build_uf2(image()), 1, "size", 476), "476 bytes"),
        (changed(build_uf2(image()), 1, "size", 0xFFFFFFFF), "bytes"),
        (changed(build_uf2(image()), 2, "flags", 0), "no family"),
        (changed(build_uf2(image()), 2, "magic", 0), "magic"),
    ],
)
def test_what_a_boot_rom_would_drop_is_refused(content: bytes, told: str) -> None:
    with pytest.raises(Uf2Error, match=told):
        parse_uf2(content)


def test_a_file_without_end_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uf2, "LIMIT_BYTES", 1024)
    with pytest.raises(Uf2Error, match="larger"):
        parse_uf2(build_uf2(image()))


def test_memory_is_read_across_pages_and_holes() -> None:
    pages = uf2.pages_of(START, b"a" * 300)
    assert uf2.read_memory(pages, START + 250, 10) == b"a" * 10
    assert uf2.read_memory(pages, START + 298, 4) == b"aa\xff\xff"
    assert uf2.read_memory(pages, START + 511, 3) == b"\xff" * 3
