"""`thermo deploy` onto the pseudo-board: a small tree for all that can go wrong."""

import hashlib
import json
import time

import pytest
import serial
from pseudo_board import PseudoBoard
from small_tree import START, app_that_fails, make_tree, running

from host_tools import board_link, cli
from host_tools.board_link import BoardError, BoardLostError, NoBoardError, PortBusyError
from host_tools.deploy import DeployError, Order, Watcher, deploy
from host_tools.slot import marker
from host_tools.survey import Survey, UnknownBoardError, board_name

# MicroPython itself with other facts about itself, for what asks `sys`
OTHER_SYS = """\
import sys


class Sys:
    def __getattr__(self, name):
        return getattr(true_sys, name)


class About(tuple):
    _mpy = {mpy}
    _machine = {machine!r}
    _build = ""


true_sys = sys
fake = Sys()
fake.implementation = About(("micropython", (1, 18, 0)))
sys.modules["sys"] = fake
"""


DEAF = b"""\
import micropython, time
micropython.kbd_intr(-1)
print("deaf")
time.sleep(60)
"""


class Bench:
    """A board and two versions of a tree."""

    def __init__(self, folder, **options):
        self.folder = folder
        self.board = PseudoBoard(folder / "board", has_house=False, **options)
        for version in (1, 2):
            make_tree(folder / str(version), version)

    def __enter__(self):
        self.board.__enter__()
        return self

    def __exit__(self, *error):
        self.board.__exit__(*error)

    def deploy(self, version, watcher=None, **wishes):
        wishes.setdefault("up_timeout_s", 20)
        folder, build = self.folder / str(version), self.folder / f"build{version}"
        return deploy(Order(self.board.port, root=folder, build=build, **wishes), watcher)

    def running(self, version, start=0):
        self.board.wait_for(running(version), start=start)

    def restarted(self, version):
        """The board, by itself, runs that version now."""
        start = len(self.board.transcript)
        self.board.power_cycle()
        self.running(version, start)
        # What it writes once it is up is written then
        self.board.wait_for("up ", start=start)


@pytest.fixture
def bench(tmp_path):
    """Version 1 runs."""
    with Bench(tmp_path) as bench:
        assert bench.deploy(1).is_up
        yield bench


def test_a_bare_board(tmp_path):
    with Bench(tmp_path) as bench:
        outcome = bench.deploy(1)
        assert outcome.is_up
        assert (outcome.plan.good, outcome.plan.target) == ("", "a")
        files = bench.board.files()
        listed = json.loads(files["/a/files.json"])
        assert listed["version"] == outcome.version
        for name, digest in listed["files"].items():
            assert hashlib.sha256(files[f"/a/{name}"]).hexdigest() == digest
        assert set(files) == {
            *(f"/a/{name}" for name in listed["files"]),
            "/a/files.json",
            *("/boot.py", "/main.py", "/slot", "/boots"),
        }
        assert files["/slot"] == marker("a", "good")
        bench.restarted(1)


def test_the_second_deploy_sends_nothing_and_writes_nothing(bench):
    before = bench.board.files()
    start = len(bench.board.transcript)
    outcome = bench.deploy(1)
    assert outcome.plan.is_done
    assert outcome.plan.sent_bytes == 0
    bench.board.wait_for("up a", start=start)
    # Each start is counted, and no start any more once the app is up
    assert bench.board.files() == before
    bench.restarted(1)


def test_one_changed_file_sends_one_file_each_time(bench):
    """Into an empty slot, then into one with something older."""
    for text in ("1 changed", "1 changed again", "1 and again"):
        (bench.folder / "1/firmware/models/last.json").write_text(text)
        outcome = bench.deploy(1)
        assert outcome.plan.send == ("models/last.json",)
        assert outcome.plan.sent_bytes == len(text)
        bench.board.wait_for(text)
        assert outcome.is_up


def test_an_update_goes_into_the_other_slot_and_what_is_no_longer_wanted_goes(bench):
    (bench.folder / "1/firmware/inner/more.py").write_text("MORE = 1\n")
    assert bench.deploy(1).plan.target == "b"
    assert "/b/inner/more.mpy" in bench.board.files()
    (bench.folder / "2/firmware/inner/last.py").rename(bench.folder / "2/firmware/last2.py")
    manifest = bench.folder / "2/boards/UNIX/manifest.py"
    base = 'base_path="../../firmware"'
    manifest.write_text(
        manifest.read_text().replace(f'package("inner", {base})', f'module("last2.py", {base})')
    )
    main = bench.folder / "2/firmware/main.py"
    main.write_text(main.read_text().replace("inner.last", "last2"))
    outcome = bench.deploy(2)
    assert outcome.plan.target == "a"
    assert "inner/last.mpy" in outcome.plan.strangers
    assert not [name for name in bench.board.files() if name.startswith("/a/inner")]
    assert outcome.plan.scripts == ("main.py",)
    bench.restarted(2)


def test_software_that_does_not_come_up_is_left_again(bench):
    crash = "with open('/crash.txt', 'w') as file: file.write('crash: ValueError: cracked')\n"
    make_tree(bench.folder / "2", 2, up=crash + app_that_fails())
    for version in (1, 2):
        # The scripts are the same in both: it is the slot that fails
        root = bench.folder / str(version)
        main = root / "firmware/main.py"
        app = main.read_text().removeprefix(START).replace("\n", "\n    ")
        app = "def run(slot, came_up):\n    import board\n    " + app
        (root / "firmware/app.py").write_text(app.rstrip() + "\n")
        main.write_text(START + "import app\napp.run(slot, came_up)\n")
        manifest = root / "boards/UNIX/manifest.py"
        with manifest.open("a") as file:
            file.write('module("app.py", base_path="../../firmware")\n')
    assert bench.deploy(1).is_up
    start = len(bench.board.transcript)
    with pytest.raises(DeployError, match=r"old one runs again.*crash: ValueError: cracked"):
        bench.deploy(2)
    assert bench.board.transcript[start:].count(running(2).encode()) == 2
    bench.restarted(1)
    with pytest.raises(DeployError, match="old one runs again"):
        bench.deploy(2)
    bench.restarted(1)


def test_a_slot_on_trial_is_the_one_that_is_filled(bench):
    """The proven slot stays, however often a deploy ends before the new one came up."""
    make_tree(bench.folder / "2", 2, up="pass")
    assert bench.deploy(2, up_timeout_s=0).plan.target == "b"
    bench.board.wait_for(running(2))
    make_tree(bench.folder / "2", 2)
    (bench.folder / "2/firmware/models/last.json").write_text("2 mended")
    outcome = bench.deploy(2)
    assert (outcome.plan.good, outcome.plan.target) == ("a", "b")
    assert outcome.plan.send == ("models/last.json",)


def test_bad_starts_before_do_not_count_against_the_new_software(bench):
    bench.board.power_off()
    start = len(bench.board.transcript)
    main = (bench.folder / "1/firmware/main.py").read_text()
    bench.board.write("/main.py", main.replace("\ncame_up()\n", "\n").encode())
    bench.board.write("/boots", b"3")
    bench.board.power_on()
    bench.running(1, start)
    assert bench.board.files()["/boots"] == b"4"
    assert bench.deploy(2).is_up


def test_without_a_marker_the_slot_that_runs_is_kept(bench):
    bench.deploy(2)
    bench.board.power_off()
    bench.board.write("/slot", b"b good 00000000\n")
    bench.board.power_on()
    (bench.folder / "2/firmware/models/last.json").write_text("3")
    assert bench.deploy(2).plan.target == "b"
    assert bench.board.files()["/slot"] == marker("b", "good")


def test_a_dry_run_writes_nothing(bench):
    before = bench.board.files()
    outcome = bench.deploy(2, is_dry=True)
    assert set(outcome.plan.send) == {"first.mpy", "inner/last.mpy", "models/last.json"}
    assert outcome.plan.copy == ("board.mpy", "same.mpy", "umqtt/simple.mpy")
    bench.restarted(1)
    assert bench.board.files() == before


def test_ctrl_c_leaves_the_old_software_running(bench):
    class Impatient(Watcher):
        def sending(self, name, sent_bytes, all_bytes):
            raise KeyboardInterrupt

    start = len(bench.board.transcript)
    with pytest.raises(KeyboardInterrupt):
        bench.deploy(2, Impatient())
    bench.running(1, start)
    assert bench.deploy(2).is_up


def test_a_full_disk(bench):
    bench.board.power_off()
    bench.board.fill(free_blocks=5)
    start = len(bench.board.transcript)
    bench.board.power_on()
    start = bench.board.wait_for("up a", start=start)
    before = bench.board.files()
    with pytest.raises(DeployError, match=r"flash has 20 KB left, and \d+ KB are needed"):
        bench.deploy(2)
    bench.board.wait_for("up a", start=start)
    assert bench.board.files() == before
    bench.board.power_off()
    bench.board.remove("/ballast")
    bench.board.power_on()
    assert bench.deploy(2).is_up


def test_a_disk_that_fills_up_in_the_middle(bench, monkeypatch):
    """The estimate was wrong: nothing is switched."""
    monkeypatch.setattr("host_tools.deploy_plan._SPARE_BLOCKS", -1000)
    bench.board.power_off()
    bench.board.fill(free_blocks=3)
    bench.board.power_on()
    make_tree(bench.folder / "2", 2, filler_bytes=9000)
    with pytest.raises(BoardError, match="flash is full"):
        bench.deploy(2)
    bench.restarted(1)


def test_a_board_that_resets_in_the_middle(bench, monkeypatch):
    monkeypatch.setattr(board_link, "SILENCE_S", 1)
    bench.board.after(5000, "reset")
    with pytest.raises(BoardLostError):
        bench.deploy(2)
    bench.restarted(1)
    assert bench.deploy(2).is_up


def test_a_flash_that_forgets_is_not_switched_to(bench, monkeypatch):
    true_write = board_link.BoardLink.write

    def forgetful(link, path, content, progress=None):
        true_write(link, path, content[:-1] if path == "/b/first.mpy" else content, progress)

    monkeypatch.setattr(board_link.BoardLink, "write", forgetful)
    with pytest.raises(DeployError, match=r"/b/first.mpy on the board is not what was sent"):
        bench.deploy(2)
    bench.restarted(1)


def test_a_chip_that_is_its_own_usb_device(tmp_path):
    """Its port goes away with each reset."""
    with Bench(tmp_path, native_usb=True) as bench:
        assert bench.deploy(1).is_up
        assert bench.deploy(2).is_up


def test_scripts_of_somebody_else_are_kept(tmp_path):
    bench = Bench(tmp_path)
    bench.board.write("/main.py", b"print('mine')")
    with bench:
        outcome = bench.deploy(1)
        assert bench.board.files()["/main.py.before-thermo"] == b"print('mine')"
        assert outcome.notes[0] == "/main.py was not ours: kept as /main.py.before-thermo"
        assert bench.deploy(2).plan.foreign == ()


@pytest.mark.parametrize(
    ("mpy", "text"),
    [(5, "loads .mpy version 5, .* 1.12 to 1.18"), (0, "loads no .mpy files; put a newer")],
)
def test_a_board_of_another_mpy_version(tmp_path, mpy, text):
    bench = Bench(tmp_path)
    bench.board.write("/boot.py", OTHER_SYS.format(mpy=mpy, machine="linux").encode())
    with bench:
        bench.board.wait_for(">>> ")
        with pytest.raises(DeployError, match=text):
            bench.deploy(1, board="UNIX")
    assert set(bench.board.files()) == {"/boot.py"}


def test_a_board_that_nobody_knows(tmp_path):
    bench = Bench(tmp_path)
    bench.board.write("/boot.py", OTHER_SYS.format(mpy=6, machine="toaster").encode())
    with bench:
        bench.board.wait_for(">>> ")
        with pytest.raises(UnknownBoardError, match=r"it is 'toaster', .* UNIX; .*--board"):
            bench.deploy(1)
        with pytest.raises(UnknownBoardError, match="there is no board 'OVEN'; there are UNIX"):
            bench.deploy(1, board="OVEN")
        assert bench.deploy(1, board="UNIX").is_up


def test_boards_by_what_they_say():
    known = ["ESP32_GENERIC", "ESP32_GENERIC_C3", "ESP32_GENERIC_S3", "MINE", "RPI_PICO_W"]
    known = [*known, "RPI_PICO2_W", "UNIX"]

    def name(machine="", build="", installed="", wanted=None):
        said = dict.fromkeys(Survey.__dataclass_fields__, 0)
        said |= {"machine": machine, "build": build, "installed_board": installed}
        return board_name(Survey(**said), known, wanted)

    assert name("Raspberry Pi Pico W with RP2040") == "RPI_PICO_W"
    assert name("Raspberry Pi Pico 2 W with RP2350") == "RPI_PICO2_W"
    assert name("Generic ESP32 module with ESP32") == "ESP32_GENERIC"
    assert name("Generic ESP32S3 module with ESP32S3") == "ESP32_GENERIC_S3"
    assert name("ESP32C3 module with ESP32C3") == "ESP32_GENERIC_C3"
    assert name("linux [GCC 14.2.1] version") == "UNIX"
    assert name("Something", build="ESP32_GENERIC-SPIRAM") == "ESP32_GENERIC"
    assert name("Generic ESP32 module with ESP32", installed="MINE") == "MINE"
    assert name("Generic ESP32 module with ESP32", wanted="MINE") == "MINE"
    with pytest.raises(UnknownBoardError, match="fits none of"):
        name("Raspberry Pi Pico with RP2040", build="RPI_PICO")


def test_no_board_and_a_busy_port(tmp_path, capsys):
    with pytest.raises(NoBoardError):
        deploy(Order(str(tmp_path / "none")))
    assert cli.main(["deploy", "--port", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err.startswith("thermo: there is no ")
    with (
        PseudoBoard(tmp_path, has_house=False) as board,
        serial.Serial(board.port, exclusive=True),
        pytest.raises(PortBusyError),
    ):
        deploy(Order(board.port))


def test_a_port_with_something_else_behind_it(tmp_path, monkeypatch):
    """It answers, but is no MicroPython."""
    monkeypatch.setattr("host_tools.board_link.BoardLink.stop.__defaults__", (2.0,))
    board = PseudoBoard(tmp_path, has_house=False)
    board.write("/main.py", DEAF)
    began = time.monotonic()
    with board:
        board.wait_for("deaf")
        with pytest.raises(BoardLostError, match=r"does not come to its prompt"):
            deploy(Order(board.port))
    assert time.monotonic() - began < 30
