"""Ports that cannot be opened and boards that answer nonsense, in a line with what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from mpremote.transport import TransportError

from host_tools import board_link, cli
from host_tools.board_link import (
    BoardCodeError,
    BoardFullError,
    BoardLink,
    BoardLostError,
    NoBoardError,
)
from host_tools.ports import RASPBERRY_PI, Port
from host_tools.survey import survey

PORT = "/dev/ttyTEST"


class FakeTransport:
    """mpremote's, to a board that answers each piece of code with `output` and `trouble`."""

    def __init__(self, output: bytes = b"", trouble: bytes = b"") -> None:
        self.answer = (output, trouble)
        self.error: Exception | None = None

    def exec_raw(self, code: str, timeout: float) -> tuple[bytes, bytes]:
        if self.error is not None:
            raise self.error
        return self.answer


def link(output: bytes = b"", trouble: bytes = b"") -> BoardLink:
    transport: Any = FakeTransport(output, trouble)
    return BoardLink(transport, PORT)


def trace(last: str) -> bytes:
    return f'Traceback (most recent call last):\r\n  File "<stdin>"\r\n{last}\r\n'.encode()


def test_an_answer_that_is_none() -> None:
    for output in (b"", b"up a\r\n", b"[1,"):
        with pytest.raises(BoardLostError, match="answers with something else than it was asked"):
            link(output).evaluate("1")
    with pytest.raises(BoardLostError, match="press its reset button and try again"):
        survey(link(b"{'machine': 1}\n"))


@pytest.mark.parametrize("error", [TransportError("x"), OSError("x")])
def test_a_board_that_is_gone(error: Exception) -> None:
    board = link()
    board.transport.error = error  # type: ignore[attr-defined]
    with pytest.raises(BoardLostError, match="check its cable, press its reset button"):
        board.run("pass")


@pytest.mark.parametrize(
    ("last", "kind", "number"),
    [
        ("OSError: [Errno 5] EIO", "OSError", errno.EIO),
        ("OSError: 5", "OSError", errno.EIO),
        ("OSError: EIO", "OSError", errno.EIO),
        ("OSError: ENOTHING", "OSError", 0),
        ("OSError: no network", "OSError", 0),
        ("MemoryError:", "MemoryError", 0),
        ("...", "", 0),
    ],
)
def test_what_raised_on_the_board(last: str, kind: str, number: int) -> None:
    with pytest.raises(BoardCodeError, match="the board says: ") as caught:
        link(trouble=trace(last)).run("pass")
    assert (caught.value.kind, caught.value.number) == (kind, number)


def test_trouble_without_a_traceback() -> None:
    with pytest.raises(BoardCodeError, match="the board says: no traceback"):
        link(trouble=b"\r\n").run("pass")


@pytest.mark.parametrize(
    ("last", "told"),
    [
        ("OSError: [Errno 13] EACCES", "/x on the board: Permission denied"),
        ("MemoryError: memory allocation failed", "no memory left; press its reset button"),
        ("ValueError: a secret", "/x on the board: ValueError"),
        ("...", "/x on the board: an unknown error"),
    ],
)
def test_a_file_of_which_only_the_kind_of_trouble_is_told(last: str, told: str) -> None:
    with pytest.raises(BoardCodeError, match=told) as caught:
        link(trouble=trace(last)).exists("/x")
    assert "secret" not in str(caught.value)


def test_a_file_that_is_not_there_and_a_flash_that_is_full() -> None:
    assert not link(trouble=trace("OSError: [Errno 2] ENOENT")).exists("/x")
    assert link().exists("/x")
    with pytest.raises(BoardFullError, match="flash is full; remove files from it"):
        link(trouble=trace("OSError: [Errno 28] ENOSPC")).write("/x", b"1")


def test_the_file_whose_hash_could_not_be_had_is_named() -> None:
    board = link(b"ab\r\n", trace("OSError: [Errno 2] ENOENT"))
    with pytest.raises(BoardCodeError, match="/two on the board: No such file"):
        board.hashes(["/one", "/two"])


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ("dialout", "become a member of the group dialout (sudo usermod -a -G dialout $USER)"),
        ("", "its group has no name here; open it to you: sudo chmod a+rw /dev/null"),
    ],
)
def test_a_port_that_is_somebody_elses(
    known: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def group(_: Path) -> str:
        if known:
            return known
        raise KeyError("getgrgid(): gid not found: 12345")

    monkeypatch.setattr(Path, "group", group)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert cli.main(["dev", "--port", "/dev/null"]) == 1
    line = capsys.readouterr().err
    assert line.startswith("thermo: /dev/null may not be opened by you")
    assert told in line
    assert line.count("\n") == 1


def test_a_port_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Port("/dev/ttyACM7", RASPBERRY_PI, "Pico")]
    monkeypatch.setattr(board_link, "list_ports", lambda: found)
    with pytest.raises(
        NoBoardError, match=r"plug the board in.*\(those with boards: /dev/ttyACM7"
    ):
        BoardLink.open(str(tmp_path / "gone"))
    (tmp_path / "file").touch()
    with pytest.raises(NoBoardError, match="is no serial port; name the board's with --port"):
        BoardLink.open(str(tmp_path / "file"))


def pulled() -> BoardLink:
    """A link to a board that has gone away with its port."""
    board_end, our_end = os.openpty()
    found = BoardLink.open(os.ttyname(our_end))
    os.close(our_end)
    os.close(board_end)
    return found


def test_the_port_of_a_board_that_went_away_is_not_kept_open() -> None:
    """Else Linux gives the board another name when it comes back."""
    board = pulled()
    port = board.transport.serial
    board.close()
    assert not port.is_open


def test_the_port_of_a_board_that_is_waited_for_is_not_kept_open() -> None:
    board = pulled()
    port = board.transport.serial
    with pytest.raises(NoBoardError):
        board.reopen(0)
    assert not port.is_open
