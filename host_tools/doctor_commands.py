"""`thermo doctor`: is everything well?"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from host_tools.board_link import BoardError
from host_tools.board_session import stopped_board
from host_tools.doctor import examine_board, examine_host, examine_port
from host_tools.finding import BAD, OK, WARNING, Finding
from host_tools.port_option import PortOption

_LOOKS = {OK: ("OK", "green"), WARNING: ("look", "yellow"), BAD: ("not OK", "bold red")}


def doctor(
    port: PortOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="A JSON list of findings, for programs.")
    ] = False,
    reset: Annotated[
        bool, typer.Option("--reset/--no-reset", help="Start the thermostat at the end.")
    ] = True,
) -> int:
    """Look over everything from this computer to each sensor, and say what to do.

    The thermostat is stopped for some seconds (relays off), asked part by part, and started again.
    A board with half of its software is examined as far as it goes. Nothing secret is shown, so
    the list may be pasted into a report. Exit code 1 if something is not OK.

    [bold]Examples[/bold]

      thermo doctor
      thermo doctor --json | jq '.[] | select(.state != "ok")'
    """
    findings = examine_host()
    try:
        with stopped_board(port, reset) as board:
            findings.append(examine_port(board.link.port))
            findings += examine_board(board)
    except BoardError as error:
        text, _, advice = str(error).partition("; ")
        findings.append(Finding("port", BAD, text, advice))
    if as_json:
        print(json.dumps([finding.document() for finding in findings], indent=1))
    else:
        _show(findings)
    return 1 if any(finding.state == BAD for finding in findings) else 0


def _show(findings: Sequence[Finding]) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    table = Table(show_header=False, box=None, pad_edge=False)
    for finding in findings:
        word, style = _LOOKS[finding.state]
        # As text: what a board says is not to be read as markup
        text = Text(f"{finding.text}\n→ {finding.advice}" if finding.advice else finding.text)
        table.add_row(Text(finding.part), Text(word, style), text)
    console.print(table)
