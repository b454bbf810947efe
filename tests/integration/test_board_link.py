"""board_link against MicroPython's own prompt, through mpremote's own transport."""

import hashlib
import importlib.metadata
import inspect
import time
import traceback

import pytest
import serial
from doubles.keys import KEY
from mpremote.transport_serial import SerialTransport
from pseudo_board import PseudoBoard

from host_tools import board_link
from host_tools.board_link import (
    BoardCodeError,
    BoardFullError,
    BoardLink,
    BoardLostError,
    NoBoardError,
    PortBusyError,
    find_port,
)
from host_tools.ports import Port

SLOW_APP = b"""\
import time
print("main")
try:
    while True:
        time.sleep(1)
finally:
    time.sleep(1)
    print("left")
"""


@pytest.fixture
def board(tmp_path):
    with PseudoBoard(tmp_path, has_house=False, flash_kb=256) as board:
        yield board


@pytest.fixture
def link(board):
    with BoardLink.open(board.port) as link:
        link.stop()
        yield link


def test_mpremote_has_what_is_used():
    assert importlib.metadata.version("mpremote").startswith("1.29.")
    used = {
        "enter_raw_repl": {"soft_reset", "timeout_overall"},
        "exit_raw_repl": set(),
        "exec_raw": {"command", "timeout"},
        "exec_raw_no_follow": {"command"},
        "follow": {"timeout", "data_consumer"},
        "mount_local": {"path"},
        "close": set(),
    }
    for name, parameters in used.items():
        signature = inspect.signature(getattr(SerialTransport, name))
        assert parameters <= set(signature.parameters), name


def test_a_running_app_is_stopped_in_order_and_without_a_soft_reset(tmp_path):
    board = PseudoBoard(tmp_path, has_house=False)
    board.write("/main.py", SLOW_APP)
    with board:
        board.wait_for("main")
        with BoardLink.open(board.port) as link:
            said = link.stop()
            assert "left" in said
            assert link.run("print(6 * 7)").strip() == "42"
        assert board.soft_resets == 0
        assert board.hard_resets == []


def test_any_prompt_is_left_for_ours(board, link):
    """A raw prompt that a program left, one in the middle of a line, one in paste mode."""
    for left in (b"\x01", b"\x01print(", b"\x02print(", b"\x02\x05print("):
        link.transport.serial.write(left)
        link.stop()
        assert link.evaluate("1 + 1") == 2


def test_files(board, link):
    content = bytes(range(256)) * 21
    told = []
    link.write("/a file", content, lambda sent, of_all: told.append((sent, of_all)))
    assert link.read("/a file") == content == board.files()["/a file"]
    assert link.hash("/a file") == hashlib.sha256(content).hexdigest()
    assert told[-1] == (len(content), len(content))
    assert [sent for sent, _ in told] == sorted({sent for sent, _ in told})
    link.replace("/a file", b"new")
    assert board.files() == {"/a file": b"new"}
    link.rename("/a file", "/b")
    assert (link.exists("/a file"), link.exists("/b")) == (False, True)
    link.remove("/b")
    assert board.files() == {}
    link.write("/empty", b"")
    assert board.files() == {"/empty": b""}


def test_errors_of_files_say_which_and_why(link):
    with pytest.raises(BoardCodeError, match="/none/x on the board: No such file"):
        link.write("/none/x", b"1")
    with pytest.raises(BoardCodeError, match="/none on the board: No such file") as raised:
        link.hash("/none")
    assert (raised.value.kind, raised.value.number) == ("OSError", 2)


def test_errors_of_code_say_the_last_line(link):
    with pytest.raises(BoardCodeError, match=r"NameError: name 'foo' isn't defined") as raised:
        link.run("foo()")
    assert raised.value.kind == "NameError"
    assert link.evaluate("'as before'") == "as before"


def test_a_full_flash(tmp_path):
    board = PseudoBoard(tmp_path, has_house=False, flash_kb=256)
    board.fill(free_blocks=4)
    with board, BoardLink.open(board.port) as link:
        link.stop()
        with pytest.raises(BoardFullError, match="flash is full"):
            link.write("/more", bytes(40000))
        assert link.evaluate("1") == 1


@pytest.mark.parametrize(
    "code",
    [
        "import none_of_ours",
        "import sys; sys.stdout.write('\\x18\\x7f'); sys.stdin.read()",
        "import sys; sys.stdout.write('\\x18\\x04\\x01'); sys.stdin.read()",
    ],
    ids=["not answered", "no such request", "half a request"],
)
def test_a_mounted_board_is_stopped_whatever_it_asks_for(tmp_path, board, link, code):
    link.mount(tmp_path)
    link.transport.exec_raw_no_follow(code)
    link.stop()
    assert link.evaluate("1") == 1
    with pytest.raises(BoardCodeError):
        link.run("os.stat('/remote')")


@pytest.mark.parametrize("fault", ["cut", "power_off"])
def test_a_board_that_goes_away(board, link, fault):
    board.after(700, fault)
    with pytest.raises(BoardLostError, match="no longer answers; check its cable"):
        link.write("/file", bytes(5000))


def test_a_board_that_resets_in_the_middle(board, link, monkeypatch):
    link.transport.serial.timeout = 1
    monkeypatch.setattr(board_link, "_FILE_TIME_S", 1)
    board.after(700, "reset")
    began = time.monotonic()
    with pytest.raises(BoardLostError):
        link.write("/file", bytes(5000))
    assert time.monotonic() - began < 20
    link.stop()
    assert link.evaluate("1") == 1


@pytest.mark.parametrize("fault", ["cut", "reset", "full", "no folder"])
def test_content_is_in_no_error_and_on_no_screen(tmp_path, fault, monkeypatch, capfd):
    monkeypatch.setattr(board_link, "_FILE_TIME_S", 1)
    board = PseudoBoard(tmp_path, has_house=False, flash_kb=256)
    board.fill(free_blocks=3)
    with board, BoardLink.open(board.port) as link:
        link.stop()
        link.transport.serial.timeout = 1
        if fault in ("cut", "reset"):
            board.after(2000, fault)
        path = "/none/file" if fault == "no folder" else "/file"
        with pytest.raises(board_link.BoardError) as raised:
            link.write(path, KEY.encode() * 2000)
        told = "".join(traceback.format_exception(raised.value))
        told += repr(raised.value.__context__) * (not raised.value.__suppress_context__)
    told += "".join(capfd.readouterr())
    assert KEY not in told
    assert KEY[:12] not in told
    assert "BoardError" in repr(type(raised.value).__mro__)


def test_a_reset_starts_the_board_anew(tmp_path):
    board = PseudoBoard(tmp_path, has_house=False)
    board.write("/main.py", b"print('main')")
    with board, BoardLink.open(board.port) as link:
        link.stop()
        link.reset()
        assert any(line == "main" for line in link.lines(10))
        assert board.hard_resets == ["software"]


def test_ports_that_are_none(tmp_path):
    with pytest.raises(NoBoardError, match="there is no /dev/none; plug the board in"):
        BoardLink.open("/dev/none")
    (tmp_path / "file").write_text("")
    with pytest.raises(NoBoardError, match="is no serial port"):
        BoardLink.open(str(tmp_path / "file"))


def test_a_busy_port(board):
    with (
        serial.Serial(board.port, exclusive=True),
        pytest.raises(PortBusyError, match="another program may have it"),
    ):
        BoardLink.open(board.port)
    BoardLink.open(board.port).close()


def test_the_port_is_found(monkeypatch):
    ports = [Port("/dev/ttyACM0", 0x2E8A, "Pico W")]
    monkeypatch.setattr(board_link, "list_ports", lambda: ports)
    monkeypatch.delenv("THERMO_PORT", raising=False)
    assert find_port() == "/dev/ttyACM0"
    assert find_port("/dev/other") == "/dev/other"
    ports.append(Port("/dev/ttyUSB0", 0x10C4, "CP2102"))
    with pytest.raises(NoBoardError, match=r"ttyACM0 \(Pico W\), /dev/ttyUSB0.*--port"):
        find_port()
    monkeypatch.setenv("THERMO_PORT", "/dev/mine")
    assert find_port() == "/dev/mine"
    monkeypatch.delenv("THERMO_PORT")
    ports.clear()
    with pytest.raises(NoBoardError, match="no board is found"):
        find_port()


def test_opening_and_closing_resets_no_esp32(board, monkeypatch):
    """The circuit on those boards pulls EN low when RTS is up and DTR is not."""
    seen = []

    def note(self):
        seen.append((self._dtr_state, self._rts_state))

    monkeypatch.setattr(serial.Serial, "_update_dtr_state", note)
    monkeypatch.setattr(serial.Serial, "_update_rts_state", note)
    with BoardLink.open(board.port) as link:
        link.stop()
    assert (True, True) in seen
    assert seen[-1] == (False, False)
    assert (False, True) not in seen
