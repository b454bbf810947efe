"""The pseudo-board is a board: what mpremote and a plain program on its port find."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import serial
from pseudo_board import PseudoBoard

APP = b"""\
import time
print("main")
try:
    while True:
        time.sleep(1)
finally:
    print("left")
"""

COLLECTING = b"""\
import gc, time
kept = [bytes(10) for _ in range(1500)]
print("main")
while True:
    for _ in range(50):
        gc.collect()
    time.sleep_ms(1)
"""

ROOT = Path(__file__).resolve().parents[2]


def mpremote(board, *arguments):
    command = [sys.executable, "-m", "mpremote", "connect", board.port, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def until(condition, timeout_s=20):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_boot_and_main_run_at_power_on(tmp_path):
    board = PseudoBoard(tmp_path, has_house=False)
    board.write("/boot.py", b"print('boot'); kept = 1")
    board.write("/main.py", b"print('main', kept)")
    with board:
        board.wait_for("boot\r\nmain 1\r\n")
        board.wait_for(">>> ")


def test_mpremote_stops_the_app_and_soft_resets_without_main(tmp_path):
    board = PseudoBoard(tmp_path, has_house=False)
    board.write("/boot.py", b"print('boot')")
    board.write("/main.py", APP)
    with board:
        board.wait_for("main")
        done = mpremote(board, "exec", "print(6 * 7)")
        assert done.returncode == 0
        assert done.stdout.split() == ["42"]
        assert board.soft_resets == 1
        assert board.transcript.count(b"main\r\n") == 1
        assert b"soft reboot\r\nboot\r\n" in board.transcript
        assert b"left\r\n" in board.transcript


def test_an_interrupt_leaves_a_sound_prompt(tmp_path):
    """Also of a program that collects nearly all the time."""
    board = PseudoBoard(tmp_path, has_house=False)
    board.write("/main.py", COLLECTING)
    with board:
        began = 0
        for _ in range(5):
            board.wait_for("main", start=began)
            done = mpremote(board, "resume", "exec", "print(len(bytes(1000)))")
            assert done.stdout.split() == ["1000"], board.transcript
            began = len(board.transcript)
            board.power_cycle()
        assert board.soft_resets == 0


def test_a_program_that_never_waits_is_interrupted(tmp_path):
    board = PseudoBoard(tmp_path, has_house=False)
    board.write("/main.py", b"print('main')\nwhile True: pass")
    with board:
        board.wait_for("main")
        assert mpremote(board, "resume", "exec", "print(1)").stdout.split() == ["1"]
        assert board.soft_resets == 0


def test_files_survive_power_cycles(tmp_path):
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 40)
    with PseudoBoard(tmp_path / "board", has_house=False) as board:
        assert mpremote(board, "cp", str(source), ":kept").returncode == 0
        board.power_cycle()
        assert mpremote(board, "sha256sum", ":kept").returncode == 0
        assert board.files()["/kept"] == source.read_bytes()


def test_mount_reads_the_hosts_files(tmp_path):
    (tmp_path / "found.py").write_text("print('from the host')\n" * 2)
    with PseudoBoard(tmp_path / "board", has_house=False) as board:
        done = mpremote(board, "mount", str(tmp_path), "exec", "import found")
        assert "from the host" in done.stdout


@pytest.mark.parametrize("native_usb", [False, True])
def test_hard_resets_start_it_anew(tmp_path, native_usb):
    board = PseudoBoard(tmp_path, has_house=False, native_usb=native_usb)
    board.write("/main.py", b"import os; print('cause', os.getenv('THERMO_RESET_CAUSE'))")
    with board:
        board.wait_for("cause power_on")
        before = Path(board.port).resolve()
        mpremote(board, "resume", "exec", "--no-follow", "import machine; machine.reset()")
        place = board.wait_for("cause software")
        assert board.hard_resets == ["software"]
        mpremote(board, "resume", "exec", "--no-follow", "import sys; sys.exit(75)")
        board.wait_for("cause software", start=place)
        bite = "import os; os.system('kill -ALRM $PPID')"
        mpremote(board, "resume", "exec", "--no-follow", bite)
        board.wait_for("cause watchdog")
        assert board.hard_resets == ["software", "software", "watchdog"]
        assert board.soft_resets == 0
        assert native_usb or Path(board.port).resolve() == before


def test_the_house_is_there(tmp_path):
    """The firmware's own board module, from the flash, with chips and relays in the house."""
    boards = ROOT / "boards" / "UNIX"
    board = PseudoBoard(tmp_path)
    for path in [boards / "board.py", *sorted((boards / "simulated").glob("*.py"))]:
        board.write(f"/a/{path.relative_to(boards)}", path.read_bytes())
    for path in (ROOT / "firmware" / "system").glob("*.py"):
        board.write(f"/a/system/{path.name}", path.read_bytes())
    with board:
        code = "import sys; sys.path.insert(0, '/a'); import board; print(board.i2c(0).scan())"
        done = mpremote(board, "exec", code)
        assert done.stdout.strip() == "[68]", done
        assert mpremote(board, "resume", "exec", "print([board.data_path])").stdout == "['']\n"


def test_a_cut_cable_loses_what_follows(tmp_path):
    with PseudoBoard(tmp_path, has_house=False) as board:
        board.wait_for(">>> ")
        board.after(len(b"print('ab')\r"), "cut")
        with serial.Serial(board.port, timeout=5) as port:
            port.write(b"print('ab')\rprint('cd')\r")
            until(lambda: not board.fault_is_due)
        assert not Path(board.port).exists()
        board.wait_for("\r\nab\r\n")
        assert b"cd" not in board.transcript
        board.plug_in()
        assert mpremote(board, "exec", "print(1)").stdout.split() == ["1"]


def test_power_off_in_the_middle(tmp_path):
    with PseudoBoard(tmp_path, has_house=False) as board:
        board.wait_for(">>> ")
        board.after(3, "power_off")
        with serial.Serial(board.port, timeout=5) as port:
            port.write(b"print(1)\r")
            until(lambda: not board.fault_is_due)
        assert board.pid is None
        board.power_on()
        assert mpremote(board, "exec", "print(1)").stdout.split() == ["1"]


def test_a_full_disk_refuses(tmp_path):
    board = PseudoBoard(tmp_path, has_house=False, flash_kb=256)
    board.fill(free_blocks=2)
    with board:
        done = mpremote(board, "exec", "open('/more', 'wb').write(bytes(40000))")
        assert "OSError: 28" in done.stdout


def test_a_second_program_finds_the_port_busy(tmp_path):
    with PseudoBoard(tmp_path, has_house=False) as board:
        with serial.Serial(board.port, exclusive=True):
            assert mpremote(board, "resume", "exec", "1").returncode != 0
        assert mpremote(board, "resume", "exec", "1").returncode == 0


def test_nothing_is_left_behind(tmp_path):
    with PseudoBoard(tmp_path) as board:
        pid = board.pid
        board.wait_for(">>> ")
    assert not Path(f"/proc/{pid}").exists()
    assert not Path(board.port).exists()
