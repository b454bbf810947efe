"""`thermo backup` and `thermo restore`: what a board knows of itself, kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from host_tools import backup as backups
from host_tools.board_session import stopped_board
from host_tools.port_option import PortOption


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; mode 0600.")],
    port: PortOption = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE.")] = False,
    reset: Annotated[
        bool, typer.Option("--reset/--no-reset", help="Start the thermostat at the end.")
    ] = True,
) -> None:
    """Keep a board's configuration, set points and certificates in a file.

    The file holds the board's secrets and so is readable by you alone. It carries a checksum.

    [bold]Example[/bold]: a board is replaced

      thermo backup bedroom.json --port /dev/ttyACM0
      thermo restore bedroom.json --port /dev/ttyACM1
    """
    backups.check_target(file, force)
    with stopped_board(port, reset) as board:
        made = backups.take(board)
    backups.write(file, made, force)
    typer.echo(f"{file} holds {', '.join(made.names())}.", err=True)


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Made by thermo backup.")],
    port: PortOption = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the configuration that the board has.")
    ] = False,
    reset: Annotated[
        bool, typer.Option("--reset/--no-reset", help="Start the thermostat at the end.")
    ] = True,
) -> None:
    """Give a board the configuration, set points and certificates that a backup holds.

    All of it is checked before anything is written. A board that has a configuration keeps it
    unless --force is given.

    [bold]Example[/bold]

      thermo restore bedroom.json --force
    """
    found = backups.read(file)
    with stopped_board(port, reset) as board:
        backups.put_back(board, found, force)
    typer.echo(f"The board has {', '.join(found.names())}.", err=True)
