"""What goes onto a board: the manifests of this tree, and manifests with mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from host_tools.board_files import (
    TREE,
    BoardFilesError,
    board_files,
    boards,
    read_manifest,
    root_files,
)


def make_board(root: Path, manifest: str) -> Path:
    folder = root / "boards" / "DESK"
    (folder / "chips" / "deep").mkdir(parents=True)
    for name in ("board.py", "chips/__init__.py", "chips/deep/one.py", "chips/notes.txt"):
        (folder / name).write_text("")
    (folder / "manifest.py").write_text(manifest)
    return root


def targets(root: Path) -> list[str]:
    return [file.target for file in board_files("DESK", root)]


def test_the_simulated_board_takes_the_firmware_and_its_own_modules() -> None:
    assert "UNIX" in boards()
    found = {file.target: file.source for file in board_files("UNIX")}
    assert found["board.py"] == TREE / "boards/UNIX/board.py"
    assert found["thermostat/app.py"] == TREE / "firmware/thermostat/app.py"
    assert found["simulated/watchdog.py"] == TREE / "boards/UNIX/simulated/watchdog.py"
    assert "models/thermostat-1.json" in found
    assert "roots/digicert-global-root-g2.der" in found
    assert not {"boot.py", "main.py", "start.py", "manifest.py"} & set(found)
    assert all(source.is_file() for source in found.values())


def test_boot_and_main_go_to_the_root() -> None:
    assert {file.target: file.source for file in root_files("UNIX")} == {
        "boot.py": TREE / "firmware/boot.py",
        "main.py": TREE / "firmware/main.py",
    }


def test_modules_packages_and_includes(tmp_path: Path) -> None:
    root = make_board(
        tmp_path,
        'include("$(PORT_DIR)/boards/manifest.py")\n'
        'include("../more")\n'
        'module("board.py", opt=3)\npackage("chips", opt=3)\nrequire("umqtt.simple")\n',
    )
    (root / "boards" / "more").mkdir()
    (root / "boards" / "more" / "manifest.py").write_text('module("more.py")\n')
    (root / "boards" / "more" / "more.py").write_text("")
    assert boards(root) == ["DESK"]
    assert targets(root) == ["board.py", "chips/__init__.py", "chips/deep/one.py", "more.py"]
    assert read_manifest("DESK", root).libraries == ["umqtt.simple"]


def test_some_files_of_a_package_from_elsewhere(tmp_path: Path) -> None:
    root = make_board(tmp_path, 'package("deep", files=["one.py"], base_path="chips")')
    assert targets(root) == ["deep/one.py"]


def test_a_board_that_there_is_not() -> None:
    with pytest.raises(BoardFilesError, match=r"'TOASTER'; there are .*UNIX"):
        board_files("TOASTER")


@pytest.mark.parametrize(
    ("manifest", "text"),
    [
        ('module("gone.py")', "names 'gone.py'"),
        ('module("chips")', "is no module"),
        ('package("gone")', "'gone', but .* is no folder"),
        ('package("chips", files=["gone.py"])', "names 'chips/gone.py'"),
        ('include("gone.py")', "gone.py cannot be followed"),
        ('freeze("$(MPY_DIR)")', "name 'freeze' is not defined"),
        ("module(", "cannot be followed"),
        ('module("board.py", colour="red")', "cannot be followed: .*colour"),
        (
            'module("board.py")\nmodule("board.py", base_path="../other")',
            "'board.py' a second time",
        ),
    ],
)
def test_mistakes_name_the_manifest(tmp_path: Path, manifest: str, text: str) -> None:
    root = make_board(tmp_path, manifest)
    (root / "boards" / "other").mkdir()
    (root / "boards" / "other" / "board.py").write_text("")
    with pytest.raises(BoardFilesError, match=text) as caught:
        board_files("DESK", root)
    assert "manifest.py" in str(caught.value) or "gone.py" in str(caught.value)


def test_a_board_without_the_firmware_has_no_boot(tmp_path: Path) -> None:
    with pytest.raises(BoardFilesError, match="DESK names no boot"):
        root_files("DESK", make_board(tmp_path, 'module("board.py")'))
