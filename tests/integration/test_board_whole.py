"""The whole firmware on the pseudo-board, by `thermo deploy` and by `thermo dev`."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from pseudo_board import PseudoBoard
from pulls import IS_WHOLE

from host_tools.board_link import BoardError, BoardLink
from host_tools.deploy import Order, Watcher, deploy

ROOT = Path(__file__).resolve().parents[2]
# The app says `up` after ten seconds
UP_S = 60


def what_starts(board):
    """The slot that boot.py chooses, after all its files were found to be those of its list."""
    place = len(board.transcript)
    board.power_cycle()
    board.wait_for('stats {"uptime_s": 0', start=place)
    with BoardLink.open(board.port) as link:
        link.stop()
        slot = link.evaluate("slot")
        listed = json.loads(link.read(f"/{slot}/files.json"))
        names = [f"/{slot}/{name}" for name in listed["files"]]
        assert list(link.hashes(names).values()) == list(listed["files"].values())
    return slot, listed["version"]


class Steps(Watcher):
    """Takes its time, so that a deploy lasts."""

    def __init__(self, delay_s=0.0):
        self._delay_s = delay_s
        self.seconds = 0.0

    def step(self, text):
        if text != "starting it":
            self.seconds += self._delay_s
            time.sleep(self._delay_s)


def copy_of_the_tree(folder):
    for name in ("firmware", "boards"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def order(board, folder, root):
    return Order(board.port, up_timeout_s=UP_S, root=root, build=folder / "build")


@pytest.mark.timeout(300)
def test_nothing_twice_and_of_one_change_one_file(tmp_path):
    tree = copy_of_the_tree(tmp_path / "tree")
    with PseudoBoard(tmp_path / "board") as board:
        first = deploy(order(board, tmp_path, tree))
        assert first.is_up
        assert len(first.plan.send) > 60
        assert "umqtt/simple.mpy" in first.plan.send
        second = deploy(order(board, tmp_path, tree))
        assert (second.plan.is_done, second.plan.sent_bytes) == (True, 0)
        control = tree / "firmware" / "thermostat" / "control.py"
        control.write_text(control.read_text() + "\nCHANGED = 'by a test'\n")
        third = deploy(order(board, tmp_path, tree))
        assert third.is_up
        assert third.plan.send == ("thermostat/control.mpy",)
        assert len(third.plan.copy) == len(first.plan.send) - 1
        assert board.hard_resets == ["software"] * 3
        assert board.soft_resets == 0


@pytest.mark.timeout(5400 if IS_WHOLE else 300)
@pytest.mark.parametrize("fault", ["cut", "power_off"])
def test_pulled_in_the_middle_of_a_whole_update(tmp_path, fault):
    """Every file changes its line numbers, and with them its content."""
    trees = [copy_of_the_tree(tmp_path / name) for name in ("old", "new")]
    for path in (trees[1] / "firmware").rglob("*.py"):
        if path.name not in ("boot.py", "main.py"):
            path.write_text(path.read_text() + f"\nCHANGED = {path.name!r}\n")
    with PseudoBoard(tmp_path / "board") as board:
        orders = [
            replace(order(board, tmp_path, tree), up_timeout_s=0, build=tmp_path / f"build-{n}")
            for n, tree in enumerate(trees)
        ]
        old = deploy(orders[0]).version
        board.power_off()
        image = board.flash.read_bytes()
        board.power_on()
        written = board.host_bytes
        new = deploy(orders[1]).version
        total = board.host_bytes - written
        assert total > 100000
        assert old != new
        parts = total // 4096 if IS_WHOLE else 7
        for at in [total * n // parts for n in range(1, parts)] + [total - 200]:
            board.power_off()
            board.flash_image(image)
            board.power_on()
            board.after(at, fault)
            told = None
            try:
                deploy(orders[1])
            except BoardError as error:
                told = error
            # The first time may have taken some bytes more: a board that was busy was asked again
            assert not board.fault_is_due or at == total - 200, told
            assert what_starts(board) in (("a", old), ("b", new))
            deploy(orders[1])
            assert what_starts(board)[1] == new


@pytest.mark.timeout(300)
def test_half_a_minute_with_the_watchdog_armed(tmp_path):
    """The running app has armed it at 8.4 s; stopped, it is held."""
    tree = copy_of_the_tree(tmp_path / "tree")
    with PseudoBoard(tmp_path / "board") as board:
        assert deploy(order(board, tmp_path, tree)).is_up
        settings = tree / "firmware" / "thermostat" / "settings.py"
        settings.write_text(settings.read_text() + "\nCHANGED = 'by a test'\n")
        slow = Steps(delay_s=7.0)
        assert deploy(order(board, tmp_path, tree), slow).is_up
        assert slow.seconds >= 30
        assert board.hard_resets == ["software", "software"]


@pytest.mark.timeout(300)
def test_dev_runs_it_without_writing_the_flash(tmp_path):
    with PseudoBoard(tmp_path) as board:
        board.wait_for(">>> ")
        before = board.files()
        command = [sys.executable, "-m", "host_tools.cli", "dev", "--port", board.port]
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            board.wait_for("up -", timeout_s=UP_S)
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            said, told = process.communicate(timeout=60)
        assert board.files() == before
        assert process.returncode == 0, told
        assert re.search(r"^up -$", said, re.MULTILINE)
        assert board.wait_for_hard_resets(1) == ["software"]
