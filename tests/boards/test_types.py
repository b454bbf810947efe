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


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("machine.no_such_function()", '"no_such_function"'),
        ("machine.Pin(4).flip()", '"flip"'),
        ("machine.WDT(8000, 1)", "WDT"),
        ("machine.unique_id(1)", "Too many arguments"),
        ("import no_such_module", "no_such_module"),
        ("undefined_name", "undefined_name"),
        ("machine.RTC().memory(1, 2)", "memory"),
    ],
)
@pytest.mark.parametrize("board", ["ESP32_GENERIC", "RPI_PICO_W"])
def test_a_planted_mistake_is_found(tmp_path: Path, board: str, line: str, text: str) -> None:
    source = f"boards/{board}/board.py"
    planted = plant(tmp_path, source, f"import machine\n{line}")
    found = findings(board, {"board.py": planted})
    assert len(found) == 1, found
    assert found[0].startswith("board.py:")
    assert text in found[0]


@pytest.mark.parametrize(
    ("board", "has_it", "line"),
    [
        ("ESP32_GENERIC", True, "import esp32\nesp32.raw_temperature()"),
        ("ESP32_GENERIC_C3", False, "import esp32\nesp32.raw_temperature()"),
        ("ESP32_GENERIC_S3", False, "import rp2\nrp2.bootsel_button()"),
        ("RPI_PICO2_W", True, "import rp2\nrp2.bootsel_button()"),
        ("RPI_PICO2_W", False, 'import esp32\nesp32.NVS("a")'),
    ],
)
def test_boards_differ(tmp_path: Path, board: str, has_it: bool, line: str) -> None:
    planted = plant(tmp_path, f"boards/{board}/board.py", line)
    assert (findings(board, {"board.py": planted}) == []) == has_it


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
