"""What the verbs print: tables for people, JSON for programs, on standard output.

Progress and remarks go to standard error, so that a pipe gets what was asked for.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_PIPE_COLUMNS = 200
_NEVER = "0001-01-01T00:00:00"


def screen() -> Console:
    return Console(highlight=False, soft_wrap=True)


def remarks() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_json_line(value: Any) -> None:
    """At once, and in one line: of a stream that programs read."""
    print(json.dumps(value, ensure_ascii=False, default=str), flush=True)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """What comes from a hub is text, never markup."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(each)) for each in row))
    # A pipe has no edge
    width = None if Console().is_terminal else _PIPE_COLUMNS
    Console(highlight=False, width=width).print(table)


def cell(value: Any) -> str:
    """A value of JSON in few characters; times that never were are empty."""
    if value is None or (isinstance(value, str) and value.startswith(_NEVER)):
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


@contextlib.contextmanager
def waiting(text: str) -> Iterator[None]:
    """A sign of life while something takes its time; nothing where nobody looks."""
    console = remarks()
    if not console.is_terminal:
        yield
        return
    with console.status(text):
        yield
