"""The firmware on the unix port as a process: started, watched, reset and stopped.

What the interpreter does, and what this builds on:

- SIGINT becomes KeyboardInterrupt in the firmware, whose `start.py` then switches off and exits
  with 0. The interpreter may be embedded in a CPython process, which SIGINT would end with a
  traceback while it loads; so an early stop waits for INTERPRETER_START_S.
- A reset is exit code 75. A bite of the watchdog is the signal SIGALRM, or 142 (128 + 14) where
  a shell stands between. Both start the firmware again; the environment tells it the cause.
- Output is written line by line without buffering, tracebacks go to stderr; both arrive here as
  one stream of lines.

No process is left behind. The firmware runs in a session of its own, so that Ctrl-C in a terminal
reaches us alone and `stop()` decides. On Linux the kernel kills it when this process ends in
whatever way (PR_SET_PDEATHSIG, tied to the thread that started it: use the main thread).
Elsewhere `stop()` has to be reached.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from host_tools.problem import Problem

RESET_EXIT_CODE = 75
# How a process looks that the watchdog has bitten. Windows has no such signal, and no simulation.
_BITE = getattr(signal, "SIGALRM", 14)
WATCHDOG_EXIT_CODES = (-_BITE, 128 + _BITE)
# A firmware that resets more often has a fault that another start does not cure.
MAX_RESETS_PER_MINUTE = 20
GRACE_S = 5.0
# SIGINT reaches the firmware, and not what loads its interpreter, this long after the start.
INTERPRETER_START_S = 0.3
HOUSE_GRACE_S = 2.0  # it has one small file to write
# A console line longer than this is cut: nothing that firmware prints is allowed to fill memory.
MAX_LINE_BYTES = 16384
_CHUNK_BYTES = 4096
_PR_SET_PDEATHSIG = 1
_HOUSE = "simulated.house_process"
# The ends of the cable between firmware and house; see boards/UNIX/simulated/cable.py
_PIPES = ("house.request", "house.answer")
# What would make an embedded or scripted interpreter load another environment's modules.
_FOREIGN = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "MICROPYPATH")


class SimulationError(Problem):
    """The firmware cannot be run; the message says why and what to do."""


@dataclass(frozen=True)
class Parts:
    """Where everything lies that makes up one thermostat."""

    interpreter: Path
    firmware: Path
    board: Path
    library: Path
    heap_size: str = "256k"

    def house_command(self, folder: Path) -> list[str]:
        return [str(self.interpreter), "-X", "heapsize=1m", "-m", _HOUSE, str(folder)]

    def command(self) -> list[str]:
        start = self._shown(self.board / "start.py")
        return [str(self.interpreter), "-X", f"heapsize={self.heap_size}", start]

    def working_folder(self) -> Path:
        """Paths are relative to it: the firmware keeps one for each module in its heap."""
        return self.firmware.parent.resolve()

    def search_path(self) -> str:
        folders = (self.firmware, self.board, self.library)
        return ":".join([*map(self._shown, folders), ".frozen"])

    def _shown(self, path: Path) -> str:
        return os.path.relpath(path.resolve(), self.working_folder())


class Thermostat:
    """One simulated thermostat; its data folder is its flash and its house.

    `environment` is added to this process's own (THERMO_SPEED, THERMO_OUTSIDE, ...).
    `on_line` is called with each console line, without its end.
    """

    def __init__(
        self,
        parts: Parts,
        data: Path,
        environment: Mapping[str, str] | None = None,
        on_line: Callable[[str], None] | None = None,
        max_resets_per_minute: int = MAX_RESETS_PER_MINUTE,
    ) -> None:
        self._parts = parts
        self._data = data.resolve()
        self._environment = dict(environment or {})
        self._on_line = on_line
        self._reset_times: deque[float] = deque(maxlen=max_resets_per_minute)
        self._process: asyncio.subprocess.Process | None = None
        self._house: asyncio.subprocess.Process | None = None
        self._house_lines: asyncio.Task[None] | None = None
        self._life: asyncio.Task[int] | None = None
        self._house_has_ended = False
        self._stopping = False
        self._started_s = 0.0
        self.resets = 0

    @property
    def data(self) -> Path:
        return self._data

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process is not None else None

    async def start(self) -> None:
        """Start the firmware; from now on resets are followed. Raises SimulationError."""
        if self._life is not None:
            raise SimulationError("this thermostat was started already")
        if os.name == "nt":
            raise SimulationError(
                "the simulated thermostat needs signals and named pipes that Windows has not; "
                "use Linux, or a real board"
            )
        self._data.mkdir(parents=True, exist_ok=True)
        self._lay_cable()
        try:
            self._house = await self._spawn(self._parts.house_command(self._data), "")
            assert self._house.stdout is not None
            self._house_lines = asyncio.create_task(self._watch_house(self._house.stdout))
            self._process = await self._spawn_firmware("power_on")
        except BaseException:
            await self._tear_house_down()
            raise
        self._life = asyncio.create_task(self._live())

    async def wait(self) -> int:
        """The exit code with which the firmware ended for good (negative: by that signal).
        Raises SimulationError if it reset itself too often."""
        if self._life is None:
            raise SimulationError("this thermostat was not started")
        return await asyncio.shield(self._life)

    async def stop(self, grace_s: float = GRACE_S) -> int | None:
        """Ask the firmware to end, kill it after `grace_s`, and return its exit code (None: it
        never ran, or had reset itself too often)."""
        self._stopping = True
        life = self._life
        if life is None:
            return None
        try:
            await self._interrupt(life, grace_s)
            return await life
        except SimulationError:
            return None
        finally:
            # Reached with a process alive only when we are cancelled ourselves.
            self._kill()

    async def __aenter__(self) -> Thermostat:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # -- ending

    async def _interrupt(self, life: asyncio.Task[int], grace_s: float) -> None:
        await asyncio.sleep(self._started_s + INTERPRETER_START_S - time.monotonic())
        self._send(signal.SIGINT)
        done, _ = await asyncio.wait({life}, timeout=grace_s)
        if not done:
            self._say(f"simulation: no end after {grace_s:g} s, killed")
            self._kill()

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            try:
                # The whole group: MICROPYTHON may name a script that starts the interpreter.
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                pass  # it ended in this moment

    def _kill(self) -> None:
        self._send(signal.SIGKILL)

    # -- living

    async def _live(self) -> int:
        """Follow the process, and those that come after it by a reset, to the last one's end."""
        try:
            return await self._follow_resets()
        finally:
            await self._tear_house_down()

    async def _follow_resets(self) -> int:
        while True:
            code = await self._follow()
            if self._house_has_ended and not self._stopping:
                raise SimulationError("the simulated house has ended; its last line says why")
            cause = _reset_cause(code)
            if cause is None or self._stopping:
                return code
            self._count_reset()
            self._say(f"simulation: reset ({cause})")
            self._process = await self._spawn_firmware(cause)
            if self._stopping:
                self._send(signal.SIGINT)

    async def _follow(self) -> int:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        try:
            await self._read_lines(process.stdout)
            return await process.wait()
        finally:
            # Cancelled, or a caller's `on_line` raised: nobody looks after this process any more.
            if process.returncode is None:
                self._kill()
                await process.wait()

    async def _read_lines(self, stream: asyncio.StreamReader) -> None:
        rest = b""
        while chunk := await stream.read(_CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > MAX_LINE_BYTES:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self._say(line[:MAX_LINE_BYTES].decode(errors="replace").rstrip("\r"))
        if rest:
            self._say(rest.decode(errors="replace"))

    def _count_reset(self) -> None:
        now = time.monotonic()
        times = self._reset_times
        if len(times) == times.maxlen and now - times[0] < 60:
            raise SimulationError(
                f"the firmware reset itself more than {times.maxlen} times in a minute; "
                f"its last lines say why"
            )
        times.append(now)
        self.resets += 1

    def _say(self, line: str) -> None:
        if self._on_line is not None:
            self._on_line(line)

    # -- starting

    def _lay_cable(self) -> None:
        for name in _PIPES:
            (self._data / name).unlink(missing_ok=True)
            os.mkfifo(self._data / name, 0o600)

    async def _watch_house(self, output: asyncio.StreamReader) -> None:
        """Pass on what the house says; should it end by itself, nothing is left to measure."""
        await self._read_lines(output)
        if self._house is not None:
            self._house_has_ended = True
            self._kill()

    async def _tear_house_down(self) -> None:
        """End the house: in order, for it may not yet have seen the firmware end and saved its
        state, or by force."""
        house, self._house = self._house, None
        if house is not None:
            await _end(house)
        if self._house_lines is not None:
            await asyncio.gather(self._house_lines, return_exceptions=True)
        for name in _PIPES:
            (self._data / name).unlink(missing_ok=True)

    async def _spawn_firmware(self, reset_cause: str) -> asyncio.subprocess.Process:
        self._started_s = time.monotonic()
        return await self._spawn(self._parts.command(), reset_cause)

    async def _spawn(self, command: list[str], reset_cause: str) -> asyncio.subprocess.Process:
        environment = {k: v for k, v in os.environ.items() if k not in _FOREIGN}
        environment |= self._environment
        environment |= {
            "MICROPYPATH": self._parts.search_path(),
            "THERMO_DATA": str(self._data),
            "THERMO_HOUSE": str(self._data),
            "THERMO_RESET_CAUSE": reset_cause,
        }
        try:
            return await asyncio.create_subprocess_exec(
                *command,
                env=environment,
                cwd=self._parts.working_folder(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
                # It writes its configuration anew, and the device's key with it
                umask=0o077,
                preexec_fn=prepare_child(os.getpid()),
            )
        except OSError as error:
            raise SimulationError(
                f"cannot start {self._parts.interpreter} ({error.strerror}); "
                f"run `make setup`, or set MICROPYTHON to a MicroPython unix port"
            ) from error


async def _end(house: asyncio.subprocess.Process) -> None:
    try:
        house.send_signal(signal.SIGINT)
        await asyncio.wait_for(house.wait(), HOUSE_GRACE_S)
    except (ProcessLookupError, asyncio.TimeoutError):
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            house.kill()
        await house.wait()


def _reset_cause(code: int) -> str | None:
    """Why a process with this exit code is to be started again; None: it is not."""
    if code == RESET_EXIT_CODE:
        return "software"
    return "watchdog" if code in WATCHDOG_EXIT_CODES else None


def prepare_child(parent: int) -> Callable[[], None]:
    """What the child does between fork and exec; whatever it needs is loaded before the fork."""
    library = ctypes.CDLL(None) if sys.platform == "linux" else None

    def prepare() -> None:
        # A parent that was started in the background ignores SIGINT, and so would the child.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if library is not None:
            library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)  # the parent ended before the kernel was told

    return prepare
