"""`thermo image` and `thermo flash` on the command line: what is told, and what is left behind."""

from __future__ import annotations

import io
import stat
from pathlib import Path

import pytest
from doubles.stock_images import esp_stock, rp2_stock
from rich.console import Console

from host_tools import cli, flash_commands

SECRET = "not-for-others"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small firmware for two boards, as our own."""
    found = tmp_path / "root"
    (found / "firmware").mkdir(parents=True)
    for name in ("boot.py", "main.py"):
        (found / "firmware" / name).write_text("pass\n")
    for board in ("RPI_PICO_W", "ESP32_GENERIC"):
        folder = found / "boards" / board
        folder.mkdir(parents=True)
        (folder / "board.py").write_text("NAME = 1\n")
        (folder / "manifest.py").write_text(
            'module("boot.py", base_path="../../firmware")\n'
            'module("main.py", base_path="../../firmware")\n'
            'module("board.py")\n'
        )
    monkeypatch.setattr("host_tools.image.source_tree", lambda: found)
    return found


def image(folder: Path, *arguments: str) -> int:
    stock = folder / "stock.uf2"
    stock.write_bytes(rp2_stock())
    fixed = ["--board", "RPI_PICO_W", "--firmware", str(stock), "-o", str(folder / "all.uf2")]
    return cli.main(["image", *fixed, *arguments])


def test_an_image_is_made_and_the_next_step_told(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert image(tmp_path) == 0
    told = capsys.readouterr().err
    assert "file system of 848 KB at 0x12c000" in told
    assert f"thermo flash {tmp_path}/all.uf2" in told
    assert "secrets" not in told
    assert not list(tmp_path.glob("*.part"))


def test_an_image_with_secrets_is_for_its_owner_alone(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.json"
    config.touch(0o600)
    config.write_text(f'{{"version": 1, "wifi": {{"ssid": "s", "password": "{SECRET}"}}}}')
    output = tmp_path / "all.uf2"
    output.write_bytes(b"an older one")
    output.chmod(0o644)
    assert image(tmp_path, "--config", str(config)) == 0
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert SECRET.encode() in output.read_bytes()
    told = capsys.readouterr().err
    assert "mode 0600" in told
    assert SECRET not in told


def test_the_flash_that_an_image_is_for_is_told(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stock = tmp_path / "stock.bin"
    stock.write_bytes(esp_stock(vfs=None))
    output = str(tmp_path / "all.bin")
    made = ["image", "--board", "ESP32_GENERIC", "--firmware", str(stock), "-o", output]
    assert cli.main(made) == 0
    told = capsys.readouterr().err
    assert "file system of 2048 KB at 0x200000" in told
    assert "for a board with 4 MB of flash; for another: --flash-size MB" in told
    assert cli.main([*made, "--flash-size", "8"]) == 0
    told = capsys.readouterr().err
    assert "file system of 6144 KB at 0x200000" in told
    assert "for a board with 8 MB of flash" in told
    assert cli.main([*made, "--flash-size", "33"]) == 2
    assert "--flash-size" in capsys.readouterr().err


def test_what_fails_leaves_the_older_file(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "all.uf2"
    output.write_bytes(b"an older one")
    assert image(tmp_path, "--filesystem", "0x100000,5000") == 1
    assert "correct --filesystem" in capsys.readouterr().err
    assert output.read_bytes() == b"an older one"


@pytest.mark.parametrize("text", ["1", "a,b", "1,2,3", ""])
def test_a_place_that_is_none_is_a_mistake_of_the_command_line(
    text: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert image(tmp_path, "--filesystem", text) == 2
    assert "OFFSET,SIZE" in capsys.readouterr().err


def test_an_unknown_board_is_told_with_those_there_are(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert image(tmp_path, "--board", "RPI_PICO") == 1
    assert "there are ESP32_GENERIC, " in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["flash", "image"])
def test_each_page_of_help_has_an_example(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([verb, "--help"]) == 0
    told = capsys.readouterr().out
    assert f"  thermo {verb} " in told[told.index("Examples") :]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_bar_on_a_terminal_and_a_line_for_each_step_elsewhere(is_terminal: bool) -> None:
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=is_terminal, width=80)
    with flash_commands._job(console) as job:
        job.step("Writing to [ESP32]")
        job.advance(1, 4)
        job.advance(4, 4)
        job.step("Starting the board")
    if is_terminal:
        assert "Starting the board" in shown.getvalue()
    else:
        assert shown.getvalue() == "Writing to [ESP32] …\nStarting the board …\n"
