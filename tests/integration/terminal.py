"""A person at a terminal: a program behind a pseudo-terminal of its own, and what it shows."""

import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def thermo(*arguments):
    return [sys.executable, "-m", "host_tools.cli", *map(str, arguments)]


def environment(**variables):
    return {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", **variables}


class Terminal:
    """Runs `command`; `shown` is all that the person has seen, echo included."""

    def __init__(self, command, folder, **variables):
        self.shown = ""
        self._ours, theirs = pty.openpty()

        def take_terminal():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment(**variables),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=take_terminal,
        )
        os.close(theirs)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def type(self, text):
        os.write(self._ours, text.encode())

    def wait_for(self, text, start=0, seconds=30):
        """Until `text` is shown; the place behind it."""
        end = time.monotonic() + seconds
        while (place := self.shown.find(text, start)) < 0:
            assert time.monotonic() < end, f"no {text!r} but {self.shown[start:]!r}"
            assert self._read() or self.process.poll() is None, self.shown
        return place + len(text)

    def end(self, seconds=30):
        """The exit code, once the program has ended by itself."""
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < end, self.shown
            self._read()
        while self._read():
            pass
        return self.process.returncode

    def attributes(self):
        return termios.tcgetattr(self._ours)

    def _read(self):
        if not select.select([self._ours], [], [], 0.05)[0]:
            return ""
        try:
            found = os.read(self._ours, 4096).decode(errors="replace")
        except OSError:  # the program has ended and nobody else has the terminal
            return ""
        self.shown += found
        return found
