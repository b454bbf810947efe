"""How a deploy ends: which slot came up, and what is told if it is not the new one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from host_tools import deploy
from host_tools.board_link import BoardError, BoardLostError
from host_tools.deploy import DeployError, Order, Outcome, Watcher
from host_tools.deploy_plan import Plan

PORT = "/dev/ttyTEST"
NEW = Plan("a", "b", send=("board.mpy",))


class FakeLink:
    """A board that says `lines` after its reset; None: its port is away for a moment.

    crashes: its crash file before and after; "": there is none.
    """

    def __init__(self, *lines: str | None, crashes: tuple[str, str] = ("", "")) -> None:
        self._lines = list(lines)
        self._crashes = list(crashes)
        self.log: list[str] = []
        self.stop_fails: BaseException | None = None

    def __enter__(self) -> FakeLink:
        return self

    def __exit__(self, *_: object) -> None:
        self.log.append("close")

    def stop(self) -> None:
        self.log.append("stop")
        if self.stop_fails is not None:
            raise self.stop_fails

    def reset(self) -> None:
        self.log.append("reset")

    def restart(self) -> None:
        self.log.append("restart")
        raise BoardError("nor does it restart")

    def reopen(self, wait_s: float) -> None:
        self.log.append("reopen")

    def lines(self, timeout_s: float) -> Iterator[str]:
        while self._lines:
            line = self._lines.pop(0)
            if line is None:
                raise BoardLostError("the port is away")
            yield line

    def exists(self, path: str) -> bool:
        if self._crashes[0]:
            return True
        self._crashes.pop(0)
        return False

    def read(self, path: str) -> bytes:
        return self._crashes.pop(0).encode()


def run(
    link: Any,
    monkeypatch: pytest.MonkeyPatch,
    plan: Plan = NEW,
    watcher: Watcher | None = None,
    timeout_s: float = 0.05,
) -> Outcome:
    monkeypatch.setattr(deploy.BoardLink, "open", lambda port: link)
    monkeypatch.setattr(deploy, "_work", lambda *_: Outcome("UNIX", "1.2", plan))
    return deploy.deploy(Order(PORT, up_timeout_s=timeout_s), watcher)


class Listener(Watcher):
    def __init__(self) -> None:
        self.heard: list[str] = []

    def said(self, line: str) -> None:
        self.heard.append(line)


def test_the_new_slot_comes_up_after_its_port_was_away(monkeypatch: pytest.MonkeyPatch) -> None:
    link = FakeLink(None, "", "thermostat 1.2", "I main> up b", crashes=("same", "same"))
    watcher = Listener()
    outcome = run(link, monkeypatch, watcher=watcher, timeout_s=5)
    assert outcome.is_up
    assert outcome.seconds >= 0
    assert watcher.heard == ["", "thermostat 1.2", "I main> up b"]
    assert link.log == ["stop", "reset", "reopen", "close"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("up a", "the new software did not come up, and the old one runs again"),
        ("W boot> safe mode", "the board is in safe mode, relays off"),
        ("nothing of that kind", "did not say within 0 s that it is up; see thermo monitor"),
    ],
)
def test_what_comes_up_instead_is_told(
    line: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DeployError, match=told) as caught:
        run(FakeLink(line, crashes=("old", "old")), monkeypatch)
    assert "crash file" not in str(caught.value)


def test_the_reason_is_the_end_of_its_crash_file(monkeypatch: pytest.MonkeyPatch) -> None:
    trace = "crash, slot b, start 1\n  File main.py\nImportError: no module named 'x'\n"
    with pytest.raises(DeployError) as caught:
        run(FakeLink("up a", crashes=("", trace)), monkeypatch)
    told = str(caught.value)
    assert ". From its crash file: crash, slot b, start 1 | File main.py | ImportError: " in told
    assert "\n" not in told


def test_a_board_that_does_not_stop_again_keeps_its_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    link = FakeLink("up a", crashes=("old", "old"))

    def lines(timeout_s: float) -> Iterator[str]:
        link.stop_fails = BoardError("it is gone")
        yield "up a"

    monkeypatch.setattr(link, "lines", lines)
    with pytest.raises(DeployError, match=r"the old one runs again$"):
        run(link, monkeypatch)


@pytest.mark.parametrize(
    ("trouble", "log"),
    [
        (BoardLostError("its cable is out"), ["stop", "close"]),
        (KeyboardInterrupt(), ["stop", "restart", "close"]),
    ],
)
def test_whatever_ends_it_the_board_runs_again_if_it_is_there(
    trouble: BaseException, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    link = FakeLink()
    link.stop_fails = trouble
    with pytest.raises(type(trouble)):
        run(link, monkeypatch)
    assert link.log == log


def test_nobody_waits_for_what_was_there_already(monkeypatch: pytest.MonkeyPatch) -> None:
    link = FakeLink()
    assert run(link, monkeypatch, Plan("a", "a", is_done=True)).is_up is None
    assert link.log == ["stop", "reset", "close"]
