"""`thermo deploy` and `thermo dev`: our software onto a board, or onto its processor only."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn
from rich.table import Table

from host_tools import dev as development
from host_tools.board_link import find_port
from host_tools.deploy import UP_TIMEOUT_S, Order, Outcome, Watcher, deploy
from host_tools.port_option import PortOption

_BOARD = typer.Option(
    metavar="NAME", help="A folder of boards/. Without it: what the board says that it is."
)


def deploy_command(
    port: PortOption = None,
    board: Annotated[str | None, _BOARD] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent; write nothing.")
    ] = False,
    timeout: Annotated[
        float,
        typer.Option(min=0, max=3600, help="Seconds to wait for the app; 0: do not wait."),
    ] = UP_TIMEOUT_S,
) -> None:
    """Put the software onto a board, so that it never has half of it.

    What runs is stopped (relays off), and the slot that is not in use gets what changed: files
    are compiled for the board's MicroPython, and only those are sent that the board does not
    have. When every hash is verified on the board, it restarts into the new slot, and the
    command waits until the app is up. If that does not come up, the board goes back to the old
    software by itself, and the command says why.

    Pull the cable, or press Ctrl-C, whenever you like: the old or the new software runs, and the
    same command finishes the work. A board with nothing on it but MicroPython is fine; a boot.py
    or main.py of yours is kept as NAME.before-thermo. Configuration and set points stay.

    [bold]Example[/bold]

      thermo deploy                       (the only board that is plugged in)
      thermo deploy --dry-run --port /dev/ttyACM1
    """
    # This very stream: board_link keeps mpremote from what `sys.stdout` names
    screen = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    order = Order(find_port(port), board, is_dry=dry_run, up_timeout_s=timeout)
    with _Screen(screen) as watcher:
        outcome = deploy(order, watcher)
    _show(screen, outcome, dry_run)


def dev_command(
    port: PortOption = None,
    board: Annotated[str | None, _BOARD] = None,
) -> int:
    """Run the software on a board from here, without writing its flash.

    firmware/ and the board's own modules, compiled, are mounted on the board as a remote folder
    and started; what it says is shown. The configuration is the board's own. Ctrl-C ends it, and
    the board restarts with the software on its flash.

    [bold]Example[/bold]

      thermo dev
      thermo dev --port /dev/ttyUSB0 --board ESP32_GENERIC
    """
    return development.dev(find_port(port), board)


class _Screen(Watcher):
    """Steps and a bar on a terminal; elsewhere lines."""

    def __init__(self, screen: Console) -> None:
        self._screen = screen
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        self._progress = Progress(*columns, console=screen, transient=True)
        self._bar: TaskID | None = None

    def __enter__(self) -> _Screen:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def step(self, text: str) -> None:
        if self._bar is not None:
            self._progress.remove_task(self._bar)
            self._bar = None
        self._screen.print(f"{text} …", markup=False)

    def sending(self, name: str, sent_bytes: int, all_bytes: int) -> None:
        if self._bar is None:
            self._bar = self._progress.add_task(name, total=all_bytes)
        self._progress.update(self._bar, description=name, completed=sent_bytes)

    def said(self, line: str) -> None:
        if line:
            self._screen.print(f"  {line}", style="dim", markup=False)


def _show(screen: Console, outcome: Outcome, is_dry: bool) -> None:
    plan = outcome.plan
    table = Table(title=f"{outcome.board}, software {outcome.version}", title_justify="left")
    for heading in ("sent", "copied", "kept", "removed", "bytes sent", "seconds"):
        table.add_column(heading, justify="right")
    counts = (len(plan.send) + len(plan.scripts), len(plan.copy), len(plan.keep))
    numbers = (*counts, len(plan.strangers), plan.sent_bytes)
    table.add_row(*map(str, numbers), f"{outcome.seconds:.1f}")
    if is_dry:
        for name in (*plan.send, *plan.scripts):
            screen.print(f"would send {name}", markup=False)
    screen.print(table)
    for note in outcome.notes:
        screen.print(note, markup=False)
    screen.print(_conclusion(outcome, is_dry), markup=False)


def _conclusion(outcome: Outcome, is_dry: bool) -> str:
    plan = outcome.plan
    if plan.is_done:
        return f"nothing to send: slot {plan.target} has this software already; restarted"
    if is_dry:
        return "nothing was written; the board was restarted with what it has"
    if outcome.is_up:
        return f"slot {plan.target} is up"
    return f"slot {plan.target} was started, on trial; nobody waited for it to come up"
