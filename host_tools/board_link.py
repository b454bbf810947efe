"""The one place that speaks to a board: MicroPython's prompt, through mpremote's SerialTransport.

What is used of mpremote 1.29's (tests/integration/test_board_link.py pins it): the constructor,
which opens the port, `serial`, `enter_raw_repl(soft_reset=False)`, `exit_raw_repl`, `exec_raw`,
`exec_raw_no_follow`, `follow`, `mount_local` and what it changes, `close`, and its two errors.

- A running app is stopped by Ctrl-C and has time to leave. There is no soft reset: that would
  leave an armed watchdog without anybody who feeds it.
- Opening and closing the port resets no ESP32: pyserial raises DTR before RTS, mpremote lowers
  RTS before DTR, and only RTS without DTR is a reset.
- What is sent as content is in no error and no log: of what the board answers to it, only the
  number of an OSError is told.
- Names that begin with `_thermo` at the board's prompt are ours.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import errno
import io
import os
import re
import stat
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from host_tools.ports import PortError, choose_port, list_ports, named_port
from host_tools.problem import Problem

# A board that says nothing for so long, in the middle of a dialogue, is gone
SILENCE_S = 10.0
# An app that leaves says farewell to its hub, and switches off before; see system/supervision.py
STOP_S = 30.0
# Again, if the first Ctrl-C came while nothing listened: the chip was starting
_INTERRUPT_EVERY_S = 5.0
# While stopped: the longest hold that the board contract asks for
_HOLD_MS = 600_000
_PROMPT = b">>> "
# Of a file, in one command: a board with 20 KB left has room for its text and its bytes
CHUNK_BYTES = 768
# A file system writes blocks of 4 KB, erases them before, and may tidy up
_FILE_TIME_S = 30.0
# How a mounted board asks for a file, what says that there is none, and how long it waits for the
# rest of an answer (mpremote's transport_serial.py)
_REQUEST = b"\x18"
_NO_SUCH_FILE = _REQUEST + struct.pack("b", -errno.ENOENT)
_REQUEST_S = 1.2
# What mpremote raises when a board is gone, falls silent or says what it should not; the last two
# while it answers a mounted board
LOST_ERRORS = (TransportError, OSError, struct.error, LookupError)

Progress = Callable[[int, int], None]


class BoardError(Problem):
    """The board, or the way to it, does not work; the text says what happened and what to do."""


class NoBoardError(BoardError):
    """There is no board to speak to, or the choice is not clear."""


class PortBusyError(BoardError):
    """Another program has the port."""


class BoardLostError(BoardError):
    """The board was there, and no longer answers."""


class BoardCodeError(BoardError):
    """Code that ran on the board raised; `kind` is the exception's name, `number` an errno."""

    def __init__(self, text: str, kind: str = "", number: int = 0) -> None:
        super().__init__(text)
        self.kind = kind
        self.number = number


class BoardFullError(BoardCodeError):
    """The board's flash is full."""


def find_port(wanted: str | None = None) -> str:
    """`wanted`, or THERMO_PORT, or the only board that is plugged in. Raises NoBoardError."""
    named = named_port(wanted)
    if named:
        return named
    try:
        return choose_port(list_ports()).device
    except PortError as error:
        raise NoBoardError(str(error)) from None


class BoardLink:
    """An open port. After `stop()` the board is at its raw prompt and does what is asked."""

    def __init__(self, transport: SerialTransport, port: str) -> None:
        self._transport = transport
        self._rest = b""
        self.port = port

    @classmethod
    def open(cls, port: str, wait_s: float = 0) -> BoardLink:
        """Open `port`; for `wait_s` it may be missing or busy. Raises NoBoardError,
        PortBusyError."""
        end = time.monotonic() + wait_s
        while True:
            try:
                return cls(_open(port), port)
            except BoardError:
                if time.monotonic() > end:
                    raise
            time.sleep(0.05)

    def __enter__(self) -> BoardLink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """What the board runs goes on."""
        try:
            self._transport.close()
        except OSError:
            # It was pulled, and mpremote gives up at the control lines. A port that stays open
            # keeps its name: Linux would give the board another one when it comes back.
            with contextlib.suppress(OSError):
                self._transport.serial.close()

    def reopen(self, wait_s: float) -> None:
        """Again, after the board went away with its port. Raises as `open` does."""
        self.close()
        self._transport = type(self).open(self.port, wait_s)._transport
        self._rest = b""

    @property
    def transport(self) -> SerialTransport:
        """mpremote's own, for what runs while its mount lasts."""
        return self._transport

    def mount(self, folder: Path) -> None:
        """`folder` lies on the board from now on, as /remote, until `stop`. Raises
        BoardLostError."""
        with self._told():
            self._transport.mount_local(str(folder))

    # -- who has the board: its app, its prompt, or we

    def stop(self, timeout_s: float = STOP_S) -> str:
        """Stop what runs, wait until it has left, and take the raw prompt. Returns what it said.

        An armed watchdog is fed from now on for ten minutes, if the installed software can.
        Raises BoardLostError.
        """
        with self._told():
            was_mounted = self._end_mount()
            said = self._reach_prompt(timeout_s, was_mounted)
            self._transport.enter_raw_repl(soft_reset=False, timeout_overall=SILENCE_S)
        if was_mounted:
            with contextlib.suppress(BoardCodeError):  # it was reset, and has no mount any more
                self.run(_UNMOUNT)
        self.run(_HOLD_WATCHDOG)
        return said.decode(errors="replace")

    def _end_mount(self) -> bool:
        """Take the port back from mpremote's mount, which reads for ever from a board that says
        nothing. Returns whether there was one."""
        transport = self._transport
        was_mounted = bool(transport.mounted)
        if was_mounted:
            transport.serial, transport.mounted = transport.serial.orig_serial, False
            transport.serial.timeout = SILENCE_S
        return was_mounted

    def _reach_prompt(self, timeout_s: float, was_mounted: bool) -> bytes:
        """Ctrl-C to what runs, Ctrl-B to a raw prompt that somebody left. A mounted board that
        waits for a file hears neither: it is told that there is none."""
        said, end = b"", time.monotonic() + timeout_s
        again = 0.0
        if was_mounted:
            self._transport.serial.write(_NO_SUCH_FILE)
            again = time.monotonic() + _REQUEST_S
        while not said.rstrip(b"\r\n").endswith(_PROMPT):
            now = time.monotonic()
            if now > end:
                raise BoardLostError(
                    f"the board at {self.port} does not come to its prompt; is there MicroPython "
                    f"on it? Press its reset button, or see thermo flash"
                )
            if now >= again:
                self._transport.serial.write(b"\r\x03\x02")
                again = now + _INTERRUPT_EVERY_S
            chunk = self._read_some(0.05)
            if was_mounted and _REQUEST in chunk:
                self._transport.serial.write(_NO_SUCH_FILE)
            said += chunk
        return said

    def release(self) -> None:
        """Leave the raw prompt for the friendly one, where people type. Raises BoardLostError."""
        with self._told():
            self._transport.exit_raw_repl()

    def reset(self) -> None:
        """Reset the chip, from the raw prompt; then it boots. Raises BoardLostError."""
        with self._told():
            self._transport.exec_raw_no_follow(_RESET)
        self._transport.in_raw_repl = False

    def restart(self) -> None:
        """Whatever state the dialogue is in: stop and reset. Raises BoardLostError."""
        self.stop()
        self.reset()

    # -- what the board says by itself

    def lines(self, timeout_s: float) -> Iterator[str]:
        """Lines of the console as they come, without their ends; in each second without one an
        empty line, so that the caller can do something else. Raises BoardLostError."""
        end = time.monotonic() + timeout_s
        while (now := time.monotonic()) < end:
            with self._told():
                self._rest += self._read_some(min(1.0, end - now))
            *lines, self._rest = self._rest.split(b"\n")
            for line in lines:
                yield line.decode(errors="replace").rstrip("\r")
            if not lines:
                yield ""

    def _read_some(self, timeout_s: float) -> bytes:
        port = self._transport.serial
        end = time.monotonic() + timeout_s
        while not (waiting := port.inWaiting()):
            if time.monotonic() >= end:
                return b""
            time.sleep(0.005)
        return bytes(port.read(waiting))

    # -- code

    def run(self, code: str, timeout_s: float = SILENCE_S) -> str:
        """Run `code`; what it printed. timeout_s: for how long it may say nothing.

        Raises BoardCodeError with the last line of its traceback, BoardLostError.
        """
        output, trouble = self._execute(code, timeout_s)
        if trouble:
            last = trouble.strip().splitlines()[-1] if trouble.strip() else "no traceback"
            raise _code_error(trouble, f"the board says: {last}")
        return output

    def evaluate(self, expression: str, timeout_s: float = SILENCE_S) -> Any:
        """The value of an expression of numbers, texts, bytes, lists and the like.
        Raises BoardCodeError, BoardLostError."""
        text = self.run(f"print(repr({expression}))", timeout_s)
        try:
            return ast.literal_eval(text.strip())
        except (ValueError, SyntaxError):
            raise BoardLostError(
                f"the board at {self.port} answers with something else than it was asked for; "
                f"press its reset button and try again"
            ) from None

    def _execute(self, code: str, timeout_s: float) -> tuple[str, str]:
        with self._told():
            output, trouble = self._transport.exec_raw(code, timeout=timeout_s)
        return output.decode(errors="replace"), trouble.decode(errors="replace")

    # -- files; paths are the board's, from its root

    def read(self, path: str) -> bytes:
        """Raises BoardCodeError, BoardLostError."""
        self._on_file(path, f"_thermo_file=open({path!r},'rb')")
        content = bytearray()
        while chunk := self.evaluate(f"_thermo_file.read({CHUNK_BYTES})"):
            content += chunk
        self.run("_thermo_file.close()")
        return bytes(content)

    def write(self, path: str, content: bytes, progress: Progress | None = None) -> None:
        """As it says; the file is not whole before this returns. progress: bytes sent, of all.

        Raises BoardFullError, BoardCodeError, BoardLostError.
        """
        self._on_file(
            path,
            f"import binascii\n_thermo_file=open({path!r},'wb')\n"
            "def _thermo_add(text): _thermo_file.write(binascii.a2b_base64(text))",
        )
        for start in range(0, len(content), CHUNK_BYTES):
            chunk = content[start : start + CHUNK_BYTES]
            self._on_file(path, f"_thermo_add('{base64.b64encode(chunk).decode()}')")
            if progress:
                progress(start + len(chunk), len(content))
        self._on_file(path, "_thermo_file.close()")

    def replace(self, path: str, content: bytes) -> None:
        """Old or new, whenever the power goes. Raises as `write` does."""
        self.write(path + ".new", content)
        self.rename(path + ".new", path)

    def rename(self, old: str, new: str) -> None:
        """In place of what `new` was. Raises BoardCodeError, BoardLostError."""
        self._on_file(new, f"import os\nos.rename({old!r},{new!r})")

    def remove(self, path: str) -> None:
        """A file, or an empty folder. Raises BoardCodeError, BoardLostError."""
        self._on_file(path, f"import os\nos.remove({path!r})")

    def exists(self, path: str) -> bool:
        """Raises BoardCodeError, BoardLostError."""
        try:
            self._on_file(path, f"import os\nos.stat({path!r})")
        except BoardCodeError as error:
            if error.number == errno.ENOENT:
                return False
            raise
        return True

    def hash(self, path: str) -> str:
        """SHA-256 in hex, of what lies on the flash. Raises BoardCodeError, BoardLostError."""
        return self.hashes([path])[path]

    def hashes(self, paths: Sequence[str]) -> dict[str, str]:
        """The same of many. Raises BoardCodeError, BoardLostError."""
        output, trouble = self._execute(
            f"{HASHING}for _thermo_name in {list(paths)!r}: print(_thermo_hash(_thermo_name))",
            _FILE_TIME_S,
        )
        digests = output.split()
        if trouble:
            raise _file_error(trouble, paths[len(digests)] if len(digests) < len(paths) else "")
        return dict(zip(paths, digests, strict=True))

    def _on_file(self, path: str, code: str) -> None:
        """Of what goes wrong only the kind is told: the code may be full of content."""
        _, trouble = self._execute(code, _FILE_TIME_S)
        if trouble:
            raise _file_error(trouble, path)

    # -- mpremote's errors

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """mpremote tells what it read by printing it, and in its errors; neither goes further."""
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        except LOST_ERRORS:
            raise BoardLostError(
                f"the board at {self.port} no longer answers; check its cable, press its reset "
                f"button, and try again: what was begun has no effect until it is complete"
            ) from None


# Feed an armed watchdog while we are here, if the board's software is loaded and can
_HOLD_WATCHDOG = f"""\
import sys
_thermo_hold=getattr(sys.modules.get('board'),'hold_watchdog',None)
if _thermo_hold: _thermo_hold({_HOLD_MS})
"""

# mpremote's code on the board has imported `os`; an import now would be looked for in the mount
_UNMOUNT = "os.umount('/remote')"

# Late enough for mpremote to hear that the code has arrived, for some ports vanish with the reset;
# and nobody's Ctrl-C comes between
_RESET = """\
import machine, micropython, time
micropython.kbd_intr(-1)
time.sleep_ms(100)
machine.reset()
"""

# Of a whole file, in 512 bytes of memory
HASHING = """\
import hashlib, binascii
def _thermo_hash(path):
    digest, buffer = hashlib.sha256(), bytearray(512)
    with open(path, 'rb') as file:
        while True:
            size = file.readinto(buffer)
            if not size:
                return binascii.hexlify(digest.digest()).decode()
            digest.update(memoryview(buffer)[:size])
"""


def _open(port: str) -> SerialTransport:
    if os.name == "posix" and "://" not in port:
        _check_path(port)
    try:
        transport = SerialTransport(port)
    except (TransportError, ValueError):
        raise PortBusyError(
            f"{port} cannot be opened; another program may have it: end that (a monitor, an "
            f"editor with a serial console, ModemManager), or choose another port with --port"
        ) from None
    transport.serial.timeout = SILENCE_S
    transport.serial.write_timeout = SILENCE_S
    return transport


def _check_path(port: str) -> None:
    try:
        mode = os.stat(port).st_mode
    except OSError:
        there = ", ".join(found.device for found in list_ports()) or "none"
        raise NoBoardError(
            f"there is no {port}; plug the board in, or name its port with --port "
            f"(those with boards: {there})"
        ) from None
    if not stat.S_ISCHR(mode):
        raise NoBoardError(f"{port} is no serial port; name the board's with --port")
    if not os.access(port, os.R_OK | os.W_OK):
        try:
            group = Path(port).group()
        except KeyError:  # of a host outside this container
            raise NoBoardError(
                f"{port} may not be opened by you, and its group has no name here; open it to "
                f"you: sudo chmod a+rw {port}"
            ) from None
        raise NoBoardError(
            f"{port} may not be opened by you; become a member of the group {group} "
            f"(sudo usermod -a -G {group} $USER), and log in anew"
        )


def _code_error(trouble: str, text: str) -> BoardCodeError:
    """With what programs want to know of a traceback: the exception's name and errno."""
    last = trouble.strip().splitlines()[-1:] or [""]
    found = re.match(r"(\w+)(?:: (?:\[Errno )?(\d+))?", last[0])
    kind, number = (found[1], int(found[2] or 0)) if found else ("", 0)
    if kind == "OSError" and not number:
        named = re.match(r"OSError: (E[A-Z]+)", last[0])
        number = int(getattr(errno, named[1], 0)) if named else 0
    if kind == "OSError" and number == errno.ENOSPC:
        return BoardFullError("the board's flash is full; remove files from it", kind, number)
    return BoardCodeError(text, kind, number)


def _file_error(trouble: str, path: str) -> BoardCodeError:
    error = _code_error(trouble, "")
    if isinstance(error, BoardFullError):
        return error
    reason = os.strerror(error.number) if error.number else error.kind or "an unknown error"
    if error.kind == "MemoryError":
        reason = "no memory left; press its reset button and try again"
    return BoardCodeError(f"{path} on the board: {reason}", error.kind, error.number)
