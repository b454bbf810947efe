"""What a board says, for people or for programs, over resets and pulled cables.

Nothing is sent, so that whatever runs goes on.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from host_tools.board_link import BoardError, BoardLink, find_port
from host_tools.console_lines import Line, parse, status

# While the board is gone; a chip that is its own USB device is back after half a second
_LOOK_AGAIN_S = 0.2


class Screen(Protocol):
    """Where it is shown."""

    def line(self, line: Line) -> None: ...

    def tell(self, text: str) -> None:
        """Something of ours, about the connection."""


def watch(port: str | None, screen: Screen) -> None:
    """Show what the board says, until interrupted. A board that is lost is waited for; one that
    was never there is an error. Raises BoardError."""
    link = BoardLink.open(find_port(port))
    while True:
        screen.tell(f"listening at {link.port}; Ctrl-C ends this")
        with link:
            _follow(link, screen.line)
        screen.tell("the board is gone; waiting for it to come back")
        link = _reopened(port)


def _follow(link: BoardLink, show: Callable[[Line], None]) -> None:
    """Until the board is lost."""
    try:
        for text in link.lines(math.inf):
            if text:
                show(parse(text))
    except BoardError:
        return


def _reopened(port: str | None) -> BoardLink:
    """Sought anew: without --port it may come back under another name."""
    while True:
        try:
            return BoardLink.open(find_port(port))
        except BoardError:
            time.sleep(_LOOK_AGAIN_S)


class PlainScreen:
    """Lines as they come, for files and pipes; what is ours goes to standard error."""

    def line(self, line: Line) -> None:
        print(line.text, flush=True)

    def tell(self, text: str) -> None:
        print(f"thermo: {text}", file=sys.stderr, flush=True)


class JsonScreen(PlainScreen):
    """One JSON object for each line."""

    def line(self, line: Line) -> None:
        print(json.dumps(line.document()), flush=True)


class LiveScreen:
    """A terminal: coloured lines, and the latest counters below them."""

    def __init__(self, console: Console) -> None:
        self._live = Live(Text(), console=console, transient=True, auto_refresh=False)

    def __enter__(self) -> LiveScreen:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """The counters go, and the terminal is as it was."""
        self._live.stop()

    def line(self, line: Line) -> None:
        if line.kind == "stats":
            self._live.update(Text(f" {status(line.stats)} ", "reverse"), refresh=True)
        else:
            self._live.console.print(line.painted(), soft_wrap=True)

    def tell(self, text: str) -> None:
        self._live.console.print(Text(text, "dim italic"), soft_wrap=True)
