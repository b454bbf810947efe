"""`thermo dev` without a board: what is mounted and started, and each way in which it ends."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mpremote.transport import TransportError

from host_tools import dev
from host_tools.board_link import BoardError, BoardLostError
from host_tools.deploy import Order

PORT = "/dev/ttyTEST"


class FakeLink:
    """A board whose app ends as `ends` say, one after the other; keeps what was asked of it."""

    def __init__(self, *ends: bytes | BaseException) -> None:
        self.ends = list(ends)
        self.log: list[str] = []
        self.transport: Any = self
        self.serial = SimpleNamespace(write=lambda data: self.log.append(f"write {data!r}"))
        self.mount_fails = self.restart_fails = False

    def __enter__(self) -> FakeLink:
        return self

    def __exit__(self, *_: object) -> None:
        self.log.append("close")

    def stop(self) -> None:
        self.log.append("stop")

    def restart(self) -> None:
        self.log.append("restart")
        if self.restart_fails:
            raise BoardError("it does not restart either")

    def mount(self, folder: Path) -> None:
        if self.mount_fails:
            raise BoardLostError("no longer answers")
        self.log.append(f"mount {folder.name}")

    def exec_raw_no_follow(self, code: str) -> None:
        assert "main.py" in code

    def follow(self, timeout: float | None, consumer: Any) -> tuple[bytes, bytes]:
        end = self.ends.pop(0)
        if isinstance(end, BaseException):
            raise end
        consumer(b"from the app\n")
        return b"", end


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The board says that it is a UNIX; nothing is compiled."""
    monkeypatch.setattr(dev, "survey", lambda link: None)
    monkeypatch.setattr(dev, "board_name", lambda found, known, wanted: wanted or "UNIX")
    monkeypatch.setattr(dev, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(dev, "package_for", build)


def build(found: None, name: str, order: Order, kept: Iterable[str]) -> None:
    """As compiling does: what it does not know is removed, but for `kept`."""
    assert order.build is not None
    order.build.mkdir(parents=True, exist_ok=True)
    for path in order.build.iterdir():
        if path.name not in kept:
            path.unlink()


def run(link: FakeLink, monkeypatch: pytest.MonkeyPatch, wanted: str | None = None) -> int:
    monkeypatch.setattr(dev.BoardLink, "open", lambda port: link)
    return dev.dev(PORT, wanted)


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (b"", 0),
        (b"Traceback:\r\nKeyboardInterrupt: \r\n", 0),
        (b"Traceback:\r\nValueError: x\r\n", 1),
    ],
)
def test_the_apps_end_is_the_exit_code_and_the_board_restarts(
    trouble: bytes,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    link = FakeLink(trouble)
    assert run(link, monkeypatch) == code
    assert link.log == ["stop", "mount UNIX", "restart", "close"]
    assert {path.name for path in (tmp_path / "dev" / "UNIX").iterdir()} == {"boot.py", "main.py"}
    said = capfdbinary.readouterr().out
    assert b"dev/UNIX runs on the board; Ctrl-C ends it\n" in said
    assert b"from the app" in said
    assert said.replace(b"\r", b"").endswith(trouble.replace(b"\r", b""))


def test_a_second_board_takes_no_file_from_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(FakeLink(b""), monkeypatch)
    monkeypatch.setattr(dev.shutil, "copyfile", lambda source, target: None)
    run(FakeLink(b""), monkeypatch)
    assert (tmp_path / "dev" / "UNIX" / "boot.py").is_file()


def test_ctrl_c_is_the_apps(monkeypatch: pytest.MonkeyPatch) -> None:
    link = FakeLink(KeyboardInterrupt(), b"KeyboardInterrupt: \r\n")
    assert run(link, monkeypatch) == 0
    assert link.log == ["stop", "mount UNIX", r"write b'\x03'", "restart", "close"]


def test_an_app_that_does_not_hear_it_is_stopped_by_the_restart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    link = FakeLink(KeyboardInterrupt(), TransportError("timeout"))
    assert run(link, monkeypatch) == 0
    assert link.log[-3:] == [r"write b'\x03'", "restart", "close"]


@pytest.mark.parametrize("error", [OSError("device disconnected"), KeyError(127), IndexError()])
@pytest.mark.parametrize("restart_fails", [False, True])
def test_a_board_that_goes_away_is_told_and_restarted_if_that_is_possible(
    error: Exception, restart_fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = FakeLink(error)
    link.restart_fails = restart_fails
    told = rf"no longer answers \({type(error).__name__}\); press its reset"
    with pytest.raises(BoardLostError, match=told):
        run(link, monkeypatch)
    assert link.log[-2:] == ["restart", "close"]


def test_a_mount_that_fails_leaves_the_board_with_its_own_software(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    link = FakeLink()
    link.mount_fails = True
    with pytest.raises(BoardLostError):
        run(link, monkeypatch)
    assert link.log == ["stop", "restart", "close"]
