"""The terminal at a board's prompt: beside the running thermostat, or with it stopped.

The loop between keyboard and board is mpremote's. What is ours stands between the keyboard and
that loop: beside the running thermostat a Ctrl-C would end it, and so is not passed on.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import serial
from mpremote.console import Console
from mpremote.repl import do_repl_main_loop

from host_tools.board_link import BoardLink, BoardLostError
from host_tools.problem import Problem

_CTRL_C = b"\x03"
_LIVE = b"""\
The thermostat runs on. `app` and `board` are there, and `await` works; Enter shows the prompt.
Ctrl-] leaves.
"""
_STOPPED = b"""\
The thermostat is stopped, its relays are off. This is MicroPython's own prompt; Ctrl-] leaves.
"""
_EXPLAINED = (
    b"\r\n[Ctrl-C would stop the thermostat. Ctrl-] leaves; `thermo repl --stop` stops]\r\n"
)


class ReplError(Problem):
    """There is nobody to type, or nothing to type to; the text says what to do."""


def check_terminal() -> None:
    """Raises ReplError."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ReplError(
            "a prompt needs a terminal at both ends; to run code from a program use "
            "`mpremote exec`, to read the log `thermo monitor`"
        )


def attach(link: BoardLink) -> None:
    """Beside the running thermostat. Raises BoardLostError when the board goes away."""
    _converse(link, _Guarded(Console()), _LIVE)


def attach_stopped(link: BoardLink) -> None:
    """At the prompt of a board that is stopped. Raises BoardLostError."""
    _converse(link, Console(), _STOPPED)


class _Guarded:
    """mpremote's console, but for Ctrl-C."""

    def __init__(self, console: Any) -> None:
        self._console = console
        self.enter, self.exit = console.enter, console.exit
        self.waitchar, self.write = console.waitchar, console.write

    def readchar(self) -> bytes | None:
        key: bytes | None = self._console.readchar()
        if key != _CTRL_C:
            return key
        self.write(_EXPLAINED)
        return None


def _converse(link: BoardLink, console: Any, greeting: bytes) -> None:
    console.enter()
    try:
        # Now that no key is echoed but by the board
        console.write(greeting.replace(b"\n", b"\r\n"))
        is_gone = do_repl_main_loop(
            SimpleNamespace(transport=link.transport),
            console,
            console.write,
            escape_non_printable=False,
            code_to_inject=None,
            file_to_inject=None,
        )
    except (OSError, serial.SerialException):
        is_gone = True
    finally:
        console.exit()
    print()
    if is_gone:
        raise BoardLostError(f"the board at {link.port} is gone; plug it in and try again")
