"""What the verbs print: tables for people, JSON for programs, on standard output.

Progress and remarks go to standard error, so that a pipe gets what was asked for.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Iterator, Sequence, Sized
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from host_tools.printable import printable

_PIPE_COLUMNS = 200
_NEVER = "0001-01-01T00:00:00"
# JSON may hold them as they are; but some terminals obey the former, and half of a pair of
# surrogates cannot be printed
_UNPRINTABLE = re.compile("[\x7f-\x9f\ud800-\udfff]")


def screen() -> Console:
    return Console(highlight=False, soft_wrap=True)


def remarks() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    print(_dumped(value, 2))


def print_json_line(value: Any) -> None:
    """At once, and in one line: of a stream that programs read."""
    print(_dumped(value), flush=True)


def print_table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """What comes from a hub is text, never markup."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(Text(printable(heading)), overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(each)) for each in row))
    # A pipe has no edge
    width = None if Console().is_terminal else _PIPE_COLUMNS
    Console(highlight=False, width=width).print(table)


def count_rows(rows: Sized) -> None:
    """Beside a table, how long it is."""
    remarks().print("1 row" if len(rows) == 1 else f"{len(rows)} rows", markup=False)


def cell(value: Any) -> str:
    """A value of JSON in few characters, all of them printable; times that never were are
    empty."""
    if value is None or (isinstance(value, str) and value.startswith(_NEVER)):
        return ""
    if isinstance(value, str):
        return printable(value)
    return _dumped(value)


def _dumped(value: Any, indent: int | None = None) -> str:
    # Where output is not in UTF-8 (a pipe on Windows), what it lacks would become question marks
    is_utf = (sys.stdout.encoding or "").lower().startswith("utf")
    text = json.dumps(value, indent=indent, ensure_ascii=not is_utf, default=str)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


@contextlib.contextmanager
def waiting(text: str) -> Iterator[None]:
    """A sign of life while something takes its time; nothing where nobody looks."""
    console = remarks()
    if not console.is_terminal:
        yield
        return
    with console.status(text):
        yield
