"""`thermo repl` and `thermo monitor`: a board's console."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from host_tools import repl as prompt
from host_tools.board_link import BoardLink, find_port
from host_tools.monitor import JsonScreen, LiveScreen, PlainScreen, watch
from host_tools.port_option import PortOption


def repl(
    port: PortOption = None,
    stop: Annotated[
        bool, typer.Option("--stop", help="Stop the thermostat, for MicroPython's own prompt.")
    ] = False,
    reset: Annotated[
        bool | None,
        typer.Option(
            "--reset/--no-reset", help="After --stop: whether to start it again; else it asks."
        ),
    ] = None,
) -> None:
    """Talk to a running thermostat: its objects are at hand, and it goes on.

    Opening the port resets no board, and Ctrl-C is not passed on, since it would stop the
    thermostat. Ctrl-] leaves. With --stop the thermostat is stopped (relays off) by one Ctrl-C,
    and MicroPython's own prompt comes; on leaving it is started again by a reset.

    [bold]Example[/bold]

      thermo repl
      thermo> app.rooms[0].temperature_centi_c
      2012
    """
    prompt.check_terminal()
    with BoardLink.open(find_port(port)) as link:
        if not stop:
            prompt.attach(link)
            return
        link.stop()
        link.release()
        prompt.attach_stopped(link)
        if reset is None:
            reset = typer.confirm("Start the thermostat again?", default=True, err=True)
        if reset:
            link.restart()


def monitor(
    port: PortOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object for each line, for programs.")
    ] = False,
) -> None:
    """Show what a board says: its log in colour, its counters in one line.

    Nothing is sent to the board. It is waited for when it resets or its cable is pulled. Without
    a terminal the lines come as the board prints them. Ctrl-C ends it.

    [bold]Examples[/bold]

      thermo monitor
      thermo monitor --json | jq 'select(.level == "ERROR")'
    """
    try:
        if as_json:
            watch(port, JsonScreen())
        elif sys.stdout.isatty():
            with LiveScreen(Console(highlight=False)) as screen:
                watch(port, screen)
        else:
            watch(port, PlainScreen())
    except KeyboardInterrupt:
        pass  # it is how this ends
