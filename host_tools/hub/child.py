"""A command run as a shell would run it: inherited stdio, signals passed on, its exit code.

Source of the codes: POSIX shell command language, section 2.8.2 (126, 127, 128 + signal).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence

STOP_S = 10  # from SIGTERM to SIGKILL for a command that does not end
NOT_FOUND, NOT_EXECUTABLE = 127, 126


class Child:
    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._process: asyncio.subprocess.Process | None = None
        self.was_started = False

    async def run(self, environment: Mapping[str, str]) -> int:
        """Returns: the exit code, 128 + n after signal n; 127 or 126, and a line on stderr, if
        the command cannot be run."""
        self.was_started = True
        try:
            process = await asyncio.create_subprocess_exec(*self._command, env=environment)
        except OSError as error:
            return _explain_failure(self._command[0], error)
        self._process = process
        try:
            code = await process.wait()
        finally:
            self._kill()
        return code if code >= 0 else 128 - code

    def on_signal(self, number: int) -> None:
        """Pass the signal on. Ctrl-C is the command's own affair (it may be an interpreter);
        the others mean an end, and get one in STOP_S."""
        if self._process is None or (number == signal.SIGINT and _terminal_tells_all()):
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        if number != signal.SIGINT:
            asyncio.get_running_loop().call_later(STOP_S, self._kill)

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()


def _explain_failure(program: str, error: OSError) -> int:
    # A folder of PATH that may not be searched answers "permission denied" for every name
    is_nowhere = os.path.basename(program) == program and shutil.which(program) is None
    if isinstance(error, FileNotFoundError) or is_nowhere:
        what, code = f"{program}: command not found; check the name after --", NOT_FOUND
    else:
        what, code = f"{program} cannot be run ({error.strerror}); check the file", NOT_EXECUTABLE
    print(f"thermo: {what}", file=sys.stderr)
    return code


@contextlib.contextmanager
def handled_signals(handle: Callable[[int], None]) -> Iterator[None]:
    """Have `handle` called for the signals that end programs, except ignored ones."""
    loop = asyncio.get_running_loop()
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    known = [getattr(signal, name) for name in names if hasattr(signal, name)]
    # Ignored since our start (nohup, a script's background): that is to stay so.
    numbers = [each for each in known if signal.getsignal(each) is not signal.SIG_IGN]
    for number in numbers:
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, handle, number)
    try:
        yield
    finally:
        for number in numbers:
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)


def _terminal_tells_all() -> bool:
    """Whether Ctrl-C in our terminal reached the command as well: it would hear it twice."""
    try:
        with open("/dev/tty") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False
