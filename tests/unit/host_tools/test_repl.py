"""`thermo repl` without a terminal: who may type, and a board that goes away meanwhile."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import serial

from host_tools import repl
from host_tools.board_link import BoardLostError
from host_tools.repl import ReplError

LINK: Any = SimpleNamespace(port="/dev/ttyTEST", transport=None)


class FakeConsole:
    """A terminal at which `keys` are typed."""

    def __init__(self, *keys: bytes) -> None:
        self.keys = list(keys)
        self.written = b""
        self.log: list[str] = []

    def enter(self) -> None:
        self.log.append("enter")

    def exit(self) -> None:
        self.log.append("exit")

    def waitchar(self, _: object) -> None:
        pass

    def readchar(self) -> bytes:
        return self.keys.pop(0)

    def write(self, data: bytes) -> None:
        self.written += data


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> FakeConsole:
    found = FakeConsole(b"a", b"\x03")
    monkeypatch.setattr(repl, "Console", lambda: found)
    return found


def loop(monkeypatch: pytest.MonkeyPatch, end: bool | Exception) -> list[bytes | None]:
    """mpremote's loop reads two keys and ends so; the keys."""
    keys: list[bytes | None] = []

    def run(_: object, console: Any, *__: object, **___: object) -> bool:
        keys.extend(console.readchar() for _ in range(2))
        if isinstance(end, Exception):
            raise end
        return end

    monkeypatch.setattr(repl, "do_repl_main_loop", run)
    return keys


def test_ctrl_c_is_kept_from_a_thermostat_that_runs(
    console: FakeConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = loop(monkeypatch, False)
    repl.attach(LINK)
    assert keys == [b"a", None]
    assert console.written.endswith(repl._EXPLAINED)
    assert console.log == ["enter", "exit"]


def test_at_a_stopped_board_it_is_the_boards(
    console: FakeConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = loop(monkeypatch, False)
    repl.attach_stopped(LINK)
    assert keys == [b"a", b"\x03"]


@pytest.mark.parametrize("end", [True, OSError("gone"), serial.SerialException("gone")])
def test_a_board_that_goes_away_is_told_and_the_terminal_is_as_it_was(
    end: bool | Exception, console: FakeConsole, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop(monkeypatch, end)
    with pytest.raises(BoardLostError, match="/dev/ttyTEST is gone; plug it in and try again"):
        repl.attach(LINK)
    assert console.log == ["enter", "exit"]


@pytest.mark.parametrize(("types", "sees"), [(True, False), (False, True)])
def test_a_program_is_sent_to_what_is_for_programs(
    types: bool, sees: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: types))
    with monkeypatch.context() as patch:
        patch.setattr("sys.stdout", SimpleNamespace(isatty=lambda: sees))
        with pytest.raises(ReplError, match="`mpremote exec`, to read the log `thermo monitor`"):
            repl.check_terminal()
