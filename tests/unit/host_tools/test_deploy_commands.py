"""`thermo deploy` and `thermo dev` on the command line: what is shown while and after a deploy."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from host_tools import cli, deploy_commands
from host_tools.board_link import BoardLostError
from host_tools.deploy import DeployError, Order, Outcome, Watcher
from host_tools.deploy_plan import Plan

PORT = "/dev/ttyTEST"
PLAN = Plan(
    "a",
    "b",
    send=("board.mpy", "files.json"),
    copy=("start.mpy",),
    keep=("roots/ca.der", "log.mpy", "tls.mpy"),
    strangers=("old.mpy",),
    scripts=("main.py",),
    sizes={"board.mpy": 700, "files.json": 300, "main.py": 45},
)

Work = Callable[[Order, Watcher], Outcome]


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> list[Order]:
    """What was ordered; the deploy itself sends two files and sees the app start."""
    found: list[Order] = []

    def deploy(order: Order, watcher: Watcher) -> Outcome:
        found.append(order)
        watcher.step("sending 2 files")
        watcher.sending("/b/board.mpy", 700, 1045)
        watcher.sending("/b/files.json", 1000, 1045)
        watcher.step("starting it")
        watcher.said("")
        watcher.said("[bold]up b")
        return Outcome("RPI_PICO_W", "1.2", PLAN, True, ["/main.py was not ours"], 12.34)

    monkeypatch.setattr(deploy_commands, "deploy", deploy)
    return found


def outcome(plan: Plan, is_up: bool | None = None) -> Work:
    return lambda *_: Outcome("RPI_PICO_W", "1.2", plan, is_up)


def test_what_was_done_is_counted(orders: list[Order], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["deploy", "--port", PORT, "--board", "RPI_PICO_W", "--timeout", "7"]
    assert cli.main(arguments) == 0
    assert orders == [Order(PORT, "RPI_PICO_W", is_dry=False, up_timeout_s=7)]
    told, trouble = capsys.readouterr()
    lines = told.splitlines()
    assert [line.strip() for line in lines if line.endswith("…")] == [
        "sending 2 files …",
        "starting it …",
    ]
    # What a board says is no markup
    assert "  [bold]up b" in lines
    assert "RPI_PICO_W, software 1.2" in told
    (row,) = [line for line in lines if "12.3" in line]
    assert row.replace("│", " ").split() == ["3", "1", "3", "1", "1045", "12.3"]
    assert lines[-2:] == ["/main.py was not ours", "slot b is up"]
    assert not trouble


def test_a_dry_run_names_what_it_would_send(
    orders: list[Order], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["deploy", "--port", PORT, "--dry-run"]) == 0
    assert orders[0].is_dry
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("would send ")] == [
        "would send board.mpy",
        "would send files.json",
        "would send main.py",
    ]
    assert lines[-1] == "nothing was written; the board was restarted with what it has"


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        (Plan("a", "a", is_done=True), "nothing to send: slot a has this software already"),
        (Plan("a", "b"), "slot b was started, on trial; nobody waited for it to come up"),
    ],
)
def test_what_the_board_runs_is_the_last_line(
    plan: Plan,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(deploy_commands, "deploy", outcome(plan))
    assert cli.main(["deploy", "--port", PORT, "--timeout", "0"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith(told)


def test_a_failure_in_the_middle_ends_the_bar_and_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Order, watcher: Watcher) -> Outcome:
        watcher.sending("/b/board.mpy", 1, 2)
        raise DeployError("the board's flash is worn out; take another board")

    monkeypatch.setattr(deploy_commands, "deploy", fail)
    assert cli.main(["deploy", "--port", PORT]) == 1
    assert capsys.readouterr().err == "thermo: the board's flash is worn out; take another board\n"


@pytest.mark.parametrize("seconds", ["-1", "4000", "soon"])
def test_a_wait_that_is_none_is_a_mistake_of_the_command_line(
    seconds: str, orders: list[Order], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["deploy", "--port", PORT, "--timeout", seconds]) == 2
    assert "--timeout" in capsys.readouterr().err
    assert not orders


@pytest.mark.parametrize("code", [0, 1])
def test_dev_ends_with_the_apps_own_code(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy_commands.development, "dev", lambda port, board: code)
    assert cli.main(["dev", "--port", PORT]) == code


def test_dev_tells_of_a_lost_board(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lose(*_: object) -> int:
        raise BoardLostError("the board no longer answers; press its reset button")

    monkeypatch.setattr(deploy_commands.development, "dev", lose)
    assert cli.main(["dev", "--port", PORT]) == 1
    told = capsys.readouterr().err
    assert told == "thermo: the board no longer answers; press its reset button\n"
