"""Every file that goes onto a board fits the modules which that board has."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from readme_example import readme_blocks
from stub_check import findings

from host_tools.board_files import TREE, boards

HARDWARE = [board for board in boards() if board != "UNIX"]


@pytest.mark.parametrize("board", HARDWARE)
def test_everything_fits_the_boards_own_modules(board: str) -> None:
    assert findings(board) == []


def plant(tmp_path: Path, source: str, line: str) -> Path:
    """The file with one more line at its end."""
    planted = tmp_path / Path(source).name
    shutil.copyfile(TREE / source, planted)
    with planted.open("a") as file:
        file.write(f"\n{line}\n")
    return planted


MISTAKES = {
    "machine.no_such_function()": "no_such_function",
    "machine.Pin(4).flip()": "flip",
    "machine.WDT(8000, 1)": "WDT",
    "machine.unique_id(1)": "unique_id",
    "import no_such_module": "no_such_module",
    "undefined_name": "undefined_name",
    "machine.RTC().memory(1, 2)": "memory",
    "machine.Signal()": "Signal",
}


@pytest.mark.parametrize("board", ["ESP32_GENERIC", "RPI_PICO_W"])
def test_every_planted_mistake_is_found(tmp_path: Path, board: str) -> None:
    lines = "\n".join(["import machine", *MISTAKES])
    planted = plant(tmp_path, f"boards/{board}/board.py", lines)
    first = len(planted.read_text().splitlines()) - len(MISTAKES) + 1
    found = findings(board, {"board.py": planted})
    assert len(found) == len(MISTAKES), found
    for number, text in enumerate(MISTAKES.values(), first):
        (finding,) = [line for line in found if line.startswith(f"board.py:{number}:")]
        assert text in finding


@pytest.mark.parametrize(
    ("board", "own", "foreign"),
    [
        ("ESP32_GENERIC", "esp32.raw_temperature()", "esp32.mcu_temperature()"),
        ("ESP32_GENERIC_C3", "esp32.mcu_temperature()", "esp32.raw_temperature()"),
        ("RPI_PICO2_W", "rp2.bootsel_button()", "esp32.mcu_temperature()"),
    ],
)
def test_boards_differ(tmp_path: Path, board: str, own: str, foreign: str) -> None:
    lines = [f"import {call.partition('.')[0]}\n{call}" for call in (own, foreign)]
    planted = plant(tmp_path, f"boards/{board}/board.py", "\n".join(lines))
    (found,) = findings(board, {"board.py": planted})
    last = len(planted.read_text().splitlines())
    assert found.startswith((f"board.py:{last}:", f"board.py:{last - 1}:"))


def test_the_radio_and_what_is_none_at_first_are_looked_at_too(tmp_path: Path) -> None:
    wifi = "boards/shared/hardware/wifi.py"
    planted = plant(tmp_path, wifi, "network.WLAN(network.WLAN.IF_STA).join()")
    port = plant(tmp_path, "boards/esp32/esp32_port.py", "def planted():\n    _button.press()")
    shadows = {"hardware/wifi.py": planted, "esp32_port.py": port}
    found = findings("ESP32_GENERIC_C3", shadows)
    assert ['"join"' in found[1], '"press"' in found[0], len(found)] == [True, True, 2], found


def test_the_firmware_is_looked_at_too(tmp_path: Path) -> None:
    line = "def planted(clock):\n    import time\n    return time.monotonic()"
    planted = plant(tmp_path, "firmware/system/clock.py", line)
    (found,) = findings("ESP32_GENERIC_S3", {"system/clock.py": planted})
    assert found.startswith("system/clock.py:")
    assert "monotonic" in found


def test_the_readmes_sixth_board_fits_a_chip_of_its_kind(tmp_path: Path) -> None:
    example = tmp_path / "board.py"
    example.write_text(readme_blocks()[0])
    assert findings("ESP32_GENERIC_C3", {"board.py": example}) == []
