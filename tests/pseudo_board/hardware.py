"""A board without hardware: MicroPython's unix port behind a pseudo-terminal.

    with PseudoBoard(tmp_path) as board:
        subprocess.run(["mpremote", "connect", board.port, "exec", "print(1)"])

Programs on the host open `board.port` and find what a serial port of a real board offers: the
prompt, the raw REPL with its paste mode, Ctrl-A to E, boot.py and main.py at power-on from a
LittleFS that lives in the file `flash`. What is behind it:

- One thread carries bytes between the terminal and an interpreter, whose prompt is MicroPython's
  own. A byte 3 interrupts it, if it listens for that at that moment (as /proc tells), else it is
  a byte like others. Bytes that nobody reads are lost, as on a wire.
- A board raises KeyboardInterrupt between two bytecodes; the unix port does it wherever its signal
  comes, and in the middle of a collection that leaves the heap locked for ever. So the signal
  waits until the program does, in a system call; a program that never waits gets it nevertheless.
- A soft reset is a new interpreter on the same flash; in the raw REPL it runs boot.py only and
  comes back to the raw REPL. An armed watchdog survives it (THERMO_WATCHDOG_ARMED).
- `machine.reset()` and `board.reset()` (exit code 75) are hard resets, and so is the watchdog's
  bite (SIGALRM). With `native_usb` the port goes away with them and comes back, as on chips that
  are their own USB device.
- Rooms, chips and relays are in a house process, which outlives all this, as in `make run`.

Faults: `cut()`, `power_off()`, `reset()` at once, or `after(n, "cut" | "power_off" | "reset")` n
bytes that the host has written; `fill(free_blocks)` for a full disk. All processes end with the
block. Linux only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import queue
import re
import select
import signal
import subprocess
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Literal

from host_tools.simulation import RESET_EXIT_CODE, WATCHDOG_EXIT_CODES, prepare_child
from host_tools.tree import source_tree
from pseudo_board import flash

Fault = Literal["cut", "power_off", "reset"]

_HERE = Path(__file__).resolve().parent
_CHUNK_BYTES = 4096
_INTERRUPT = b"\x03"
# A wait for the house, for a stopped process, for one that ends
_WAIT_S = 10.0
# How long a byte 3 waits for the prompt to read the bytes before it
_DRAIN_S = 0.05
# How much a program that was sent a byte 3 may compute before it must have waited for something:
# more than the whole app takes to start
_COMPUTES_S = 3.0
_LOOK_AGAIN_S = 0.005
_RAW_PROMPT = b"raw REPL; CTRL-B to exit\r\n>"
_PROMPT = b"for more information.\r\n>>> "
_BANNER = re.compile(rb"MicroPython [^\n]*\r\nType [^\n]*" + re.escape(_PROMPT[4:]) + rb"$")
# mpremote's mount speaks binary over the console; boards leave that as it is
_MOUNT = b"RemoteFS"
_PIPES = ("house.request", "house.answer")


def interpreter_path() -> str:
    """The unix port that tests run on."""
    default = source_tree() / ".venv-micropython" / "bin" / "micropython"
    return os.environ.get("MICROPYTHON") or str(default)


class PseudoBoard:
    """A board whose flash and port lie in `folder`.

    has_house: with rooms; the firmware's board `UNIX` needs them.
    environment: for the interpreter and the house (THERMO_SPEED, ...).
    """

    def __init__(
        self,
        folder: Path,
        *,
        flash_kb: int = 848,
        heap_size: str = "256k",
        has_house: bool = True,
        native_usb: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.flash = folder / "flash"
        self._folder = folder.resolve()
        self._port = self._folder / "port"
        self._heap_size = heap_size
        self._has_house = has_house
        self._native_usb = native_usb
        self._environment = dict(environment or {})
        folder.mkdir(parents=True, exist_ok=True)
        if not self.flash.exists():
            flash.create(self.flash, flash_kb)
        self.transcript = bytearray()
        """Everything that the board has ever said."""
        self.host_bytes = 0
        """How many bytes the host has written so far."""
        self.hard_resets: list[str] = []
        """The causes of all hard resets: software, watchdog."""
        self.soft_resets = 0
        self._orders: queue.SimpleQueue[tuple[Callable[[], None], Future[None]]]
        self._orders = queue.SimpleQueue()
        self._wake_reader, self._wake_writer = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._is_ending = False
        self._house: subprocess.Popen[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._control = -1
        self._master = -1
        self._fault_at: int | None = None
        self._fault: Fault = "cut"
        self._to_board = bytearray()
        self._to_host = bytearray()
        self._forget_process()

    # -- what tests use

    @property
    def port(self) -> str:
        return str(self._port)

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process else None

    def __enter__(self) -> PseudoBoard:
        self._thread.start()
        if self._has_house:
            self._do(self._build_house)
        self.power_on()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._do(self._end)
        self._thread.join(_WAIT_S)
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    def power_on(self) -> None:
        """With its cable plugged in."""
        self._do(self._plug_in)
        self._do(lambda: self._start("power_on"))

    def power_off(self) -> None:
        """In this moment; the port is gone too."""
        self._do(self._power_off)

    def power_cycle(self) -> None:
        self.power_off()
        self.power_on()

    def cut(self) -> None:
        """Pull the cable of a board that has its own power: it goes on, unheard."""
        self._do(self._cut)

    def plug_in(self) -> None:
        self._do(self._plug_in)

    def reset(self) -> None:
        """As the reset button does."""
        self._do(lambda: self._hard_reset("software"))

    def after(self, host_bytes: int, fault: Fault) -> None:
        """Do that when the host has written so many more bytes; what follows them is lost."""

        def arm() -> None:
            self._fault_at, self._fault = self.host_bytes + host_bytes, fault

        self._do(arm)

    @property
    def fault_is_due(self) -> bool:
        """Whether what `after` ordered has yet to happen."""
        return self._fault_at is not None

    def wait_for(self, text: str, timeout_s: float = 30, start: int = 0) -> int:
        """Until the board has said `text`; the place in the transcript behind it.

        Raises TimeoutError, with what it said instead.
        """
        end = time.monotonic() + timeout_s
        while (place := self.transcript.find(text.encode(), start)) < 0:
            if time.monotonic() > end:
                raise TimeoutError(f"no {text!r} but {bytes(self.transcript[start:])[-2000:]!r}")
            time.sleep(_LOOK_AGAIN_S)
        return place + len(text.encode())

    def wait_for_hard_resets(self, count: int, timeout_s: float = 30) -> list[str]:
        """Their causes, once there have been so many: a chip resets after the host was answered.

        Raises TimeoutError.
        """
        end = time.monotonic() + timeout_s
        while len(self.hard_resets) < count:
            if time.monotonic() > end:
                raise TimeoutError(f"{self.hard_resets} of {count} hard resets")
            time.sleep(_LOOK_AGAIN_S)
        return self.hard_resets

    def files(self) -> dict[str, bytes]:
        """What lies on the flash, at this moment."""
        return flash.files(self.flash)

    def write(self, name: str, content: bytes) -> None:
        """Put a file onto the flash of a board that is off."""
        self._must_be_off()
        flash.write(self.flash, name, content)

    def remove(self, name: str) -> None:
        """The reverse."""
        self._must_be_off()
        flash.remove(self.flash, name)

    def flash_image(self, image: bytes) -> None:
        """Replace all of the flash of a board that is off."""
        self._must_be_off()
        self.flash.write_bytes(image)

    def fill(self, free_blocks: int) -> None:
        """Leave so many blocks of 4 KB on the flash of a board that is off."""
        surplus = flash.free_blocks(self.flash) - free_blocks
        self.write("/ballast", bytes(max(0, surplus - 1) * flash.BLOCK_BYTES))

    # -- the thread

    def _do(self, order: Callable[[], None]) -> None:
        """Have it done by the thread: processes are bound to the life of who started them."""
        result: Future[None] = Future()
        self._orders.put((order, result))
        os.write(self._wake_writer, b"!")
        result.result(_WAIT_S)

    def _serve(self) -> None:
        while not self._is_ending:
            self._wait()
            while not self._orders.empty():
                _carry_out(*self._orders.get())
            if self._is_ending:
                return
            self._read_host()
            self._feed_board()
            self._read_control()
            self._read_board()
            self._write_host()

    def _wait(self) -> None:
        """Until there is something to do; where no poll can tell, for a moment."""
        poll = select.poll()
        poll.register(self._wake_reader, select.POLLIN)
        if self._process and self._process.stdout:
            poll.register(self._control, select.POLLIN)
            if len(self._to_host) < _CHUNK_BYTES:
                poll.register(self._process.stdout, select.POLLIN)
        has_host = self._has_host()
        if has_host:
            poll.register(self._master, select.POLLIN | (select.POLLOUT if self._to_host else 0))
        is_blind = (self._master >= 0 and not has_host) or bool(self._to_board)
        for number, _ in poll.poll(_LOOK_AGAIN_S * 1000 if is_blind else 1000):
            if number == self._wake_reader:
                os.read(self._wake_reader, 1)

    # -- cable

    def _plug_in(self) -> None:
        if self._master >= 0:
            return
        self._master, other = pty.openpty()
        tty.setraw(other)
        os.set_blocking(self._master, False)
        self._port.unlink(missing_ok=True)
        self._port.symlink_to(os.ttyname(other))
        os.close(other)

    def _cut(self) -> None:
        self._to_host.clear()
        self._to_board.clear()
        if self._master >= 0:
            self._port.unlink(missing_ok=True)
            os.close(self._master)
            self._master = -1

    def _has_host(self) -> bool:
        """Whether anybody has opened the port."""
        if self._master < 0:
            return False
        poll = select.poll()
        poll.register(self._master, 0)
        return not poll.poll(0)

    def _read_host(self) -> None:
        if self._master < 0:
            return
        size = _CHUNK_BYTES
        if self._fault_at is not None:
            size = min(size, self._fault_at - self.host_bytes)
        chunk = b""
        if size:
            with contextlib.suppress(OSError):  # nothing there, or nobody
                chunk = os.read(self._master, size)
        self.host_bytes += len(chunk)
        self._is_mounted = self._is_mounted or _MOUNT in self._host_tail + chunk
        self._host_tail = chunk[-len(_MOUNT) :]
        if self._process:
            self._to_board += chunk
        if self._fault_at is not None and self.host_bytes >= self._fault_at:
            self._fault_at = None
            self._feed_board()
            self._strike()

    def _strike(self) -> None:
        if self._fault == "cut":
            self._cut()
        elif self._fault == "power_off":
            self._power_off()
        else:
            self._hard_reset("software")

    def _write_host(self) -> None:
        if self._to_host and not self._has_host():
            self._to_host.clear()
        if self._to_host:
            try:
                del self._to_host[: os.write(self._master, self._to_host)]
            except BlockingIOError:
                pass  # the host is slow

    # -- from the host to the interpreter

    def _feed_board(self) -> None:
        """What has come, up to and with each byte 3; before the interpreter began, nothing."""
        while self._to_board and self._process and self._hears:
            before, interrupt, _ = self._to_board.partition(_INTERRUPT)
            if before:
                written = self._write_board(bytes(before))
                del self._to_board[:written]
                if written < len(before):
                    return
            elif interrupt and not self._interrupt():
                return
            else:
                del self._to_board[:1]

    def _write_board(self, chunk: bytes) -> int:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            return os.write(self._process.stdin.fileno(), chunk)
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            return len(chunk)  # it has just ended

    def _interrupt(self) -> bool:
        """A byte 3 has come. Returns whether it was dealt with; False: try again soon."""
        if self._catches_interrupts():
            return self._signal_interrupt()
        if self._unread_bytes() and time.monotonic() < self._drain_until():
            return False
        self._drain_until_s = 0.0
        self._computed_s = None
        self._write_board(_INTERRUPT)
        return True

    def _drain_until(self) -> float:
        if not self._drain_until_s:
            self._drain_until_s = time.monotonic() + _DRAIN_S
        return self._drain_until_s

    def _signal_interrupt(self) -> bool:
        """Only while it surely listens, for at the prompt the same signal would end it; and while
        it waits, if it does."""
        assert self._process is not None
        self._drain_until_s = 0.0
        pid = self._process.pid
        waits_in = self._waits_in()
        if not waits_in and not self._computes_on():
            return False
        os.kill(pid, signal.SIGSTOP)
        os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        is_heard = self._catches_interrupts() and waits_in in ("", self._system_call())
        if is_heard:
            self._computed_s = None
            os.kill(pid, signal.SIGINT)
        os.kill(pid, signal.SIGCONT)
        return is_heard

    def _waits_in(self) -> str:
        """The system call in which it sleeps, with its arguments; "" if it does not."""
        assert self._process is not None
        call = self._system_call()
        return call if self._status_fields()[0] == "S" else ""

    def _system_call(self) -> str:
        assert self._process is not None
        try:
            return Path(f"/proc/{self._process.pid}/syscall").read_text()
        except OSError:
            return "not told here"

    def _computes_on(self) -> bool:
        """Whether it has computed for long since this was first asked, and not waited."""
        ticks = sum(int(field) for field in self._status_fields()[11:13])
        seconds = ticks / os.sysconf("SC_CLK_TCK")
        if self._computed_s is None:
            self._computed_s = seconds
        return seconds - self._computed_s >= _COMPUTES_S

    def _status_fields(self) -> list[str]:
        """Of /proc/PID/stat, from the state on; see proc(5). Ended: as one that waits."""
        assert self._process is not None
        try:
            text = Path(f"/proc/{self._process.pid}/stat").read_text()
        except OSError:
            return ["S", *["0"] * 12]
        return text.rpartition(")")[2].split()

    def _catches_interrupts(self) -> bool:
        assert self._process is not None
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
        except OSError:
            return False
        caught = re.search(r"^SigCgt:\s*([0-9a-f]+)", status, re.MULTILINE)
        return bool(caught and int(caught[1], 16) >> (signal.SIGINT - 1) & 1)

    def _unread_bytes(self) -> int:
        assert self._process is not None
        assert self._process.stdin is not None
        answer = fcntl.ioctl(self._process.stdin, termios.FIONREAD, bytes(4))
        return int.from_bytes(answer, sys.byteorder)

    # -- from the interpreter to the host

    def _read_control(self) -> None:
        if self._process is None:
            return
        try:
            words = os.read(self._control, _CHUNK_BYTES).split(b"\n")
        except BlockingIOError:
            return
        for word in words:
            if word == b"began":
                self._hears = True
            elif word == b"reset":
                self._pass_on_rest()
                self._hard_reset("software")
                return
            elif word.startswith(b"soft "):
                self._armed_ms = int(word[5:])
                if self._process.poll() is None and self._hears_soft_reset():
                    self._pass_on_rest()
                    self._soft_reset()
                    return

    def _hears_soft_reset(self) -> bool:
        """machine.soft_reset() waits for its end; a prompt that was left ends by itself."""
        assert self._process is not None
        try:
            self._process.wait(0.3)
        except subprocess.TimeoutExpired:
            return True
        return False

    def _read_board(self) -> None:
        if self._process is None or len(self._to_host) >= _CHUNK_BYTES:
            return
        chunk = self._read_output()
        if chunk is None:
            return
        if chunk:
            self._say(chunk)
        else:
            self._follow_end(self._process.wait())

    def _read_output(self) -> bytes | None:
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            return os.read(self._process.stdout.fileno(), _CHUNK_BYTES)
        except BlockingIOError:
            return None

    def _pass_on_rest(self) -> None:
        while chunk := self._read_output():
            self._say(chunk)

    def _say(self, chunk: bytes) -> None:
        """Pass on what the interpreter says, with a board's line ends; after a soft reset in the
        raw REPL ask for it again, and keep the banner of the other prompt to ourselves."""
        if not self._is_mounted:
            chunk = self._with_line_ends(chunk)
        if self._goes_raw:
            self._held_back += chunk
            banner = _BANNER.search(self._held_back)
            if not banner:
                return
            chunk = bytes(self._held_back[: banner.start()])
            self._goes_raw = False
            self._write_board(b"\x01")
        self.transcript += chunk
        self._to_host += chunk
        self._recent = (self._recent + chunk)[-_CHUNK_BYTES:]
        self._is_raw = self._recent.rfind(_RAW_PROMPT) > self._recent.rfind(_PROMPT)

    def _with_line_ends(self, chunk: bytes) -> bytes:
        follows_return, self._has_returned = self._has_returned, chunk.endswith(b"\r")
        ended = re.sub(rb"(?<!\r)\n", b"\r\n", chunk)
        return ended[1:] if follows_return and chunk.startswith(b"\n") else ended

    def _tell(self, text: bytes) -> None:
        self.transcript += text
        self._to_host += text

    # -- ends and beginnings

    def _follow_end(self, code: int) -> None:
        self._read_last_words()
        if code == RESET_EXIT_CODE:
            self._hard_reset("software")
        elif code in WATCHDOG_EXIT_CODES:
            self._hard_reset("watchdog")
        else:
            self._soft_reset()

    def _read_last_words(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for word in os.read(self._control, _CHUNK_BYTES).split(b"\n"):
                if word.startswith(b"soft "):
                    self._armed_ms = int(word[5:])

    def _hard_reset(self, cause: str) -> None:
        self._kill()
        self.hard_resets.append(cause)
        if self._native_usb:
            self._cut()
            self._plug_in()
        self._to_board.clear()
        self._start(cause)

    def _soft_reset(self) -> None:
        is_raw, armed_ms = self._is_raw, self._armed_ms
        self._kill()
        self.soft_resets += 1
        self._tell(b"MPY: soft reboot\r\n")
        self._start("software", is_raw, armed_ms)

    def _start(self, cause: str, is_raw: bool = False, armed_ms: int = 0) -> None:
        if self._process:
            return
        self._forget_process()
        self._goes_raw = self._is_raw = is_raw
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        command = [interpreter_path(), "-X", f"heapsize={self._heap_size}", "-i"]
        command += [str(_HERE / "power_on.py"), str(self.flash.resolve())]
        command += [str(flash.BLOCK_BYTES), str(writer), *(["soft-raw"] if is_raw else [])]
        environment = {
            "THERMO_RESET_CAUSE": cause,
            "THERMO_DATA": "/",
            "THERMO_CONSOLE": "1",
            "THERMO_WATCHDOG_ARMED": str(armed_ms) if armed_ms else "",
            "THERMO_HOUSE": f"/pc{self._folder}" if self._has_house else "",
        }
        self._process = self._spawn(command, environment, [writer])
        os.close(writer)
        self._control = reader
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            os.set_blocking(stream.fileno(), False)

    def _forget_process(self) -> None:
        self._hears = False
        self._is_raw = False
        self._goes_raw = False
        self._is_mounted = False
        self._host_tail = b""
        self._armed_ms = 0
        self._drain_until_s = 0.0
        self._computed_s: float | None = None
        self._has_returned = False
        self._held_back = bytearray()
        self._recent = b""

    def _power_off(self) -> None:
        self._kill()
        self._cut()

    def _kill(self) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        _end(process)
        os.close(self._control)

    def _build_house(self) -> None:
        for name in _PIPES:
            (self._folder / name).unlink(missing_ok=True)
            os.mkfifo(self._folder / name, 0o600)
        command = [interpreter_path(), "-X", "heapsize=1m", "-m", "simulated.house_process"]
        search = {"MICROPYPATH": f"{source_tree() / 'boards' / 'UNIX'}:.frozen"}
        self._house = self._spawn([*command, str(self._folder)], search, [])

    def _spawn(
        self, command: list[str], environment: dict[str, str], descriptors: list[int]
    ) -> subprocess.Popen[bytes]:
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "THERMO_"))
        }
        return subprocess.Popen(
            command,
            cwd=self._folder,
            env=inherited | self._environment | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            pass_fds=descriptors,
            start_new_session=True,
            preexec_fn=prepare_child(os.getpid()),
        )

    def _end(self) -> None:
        self._power_off()
        if self._house:
            _end(self._house)
        self._is_ending = True

    def _must_be_off(self) -> None:
        if self._process:
            raise RuntimeError("power_off() first: the flash is in use")


def _carry_out(order: Callable[[], None], result: Future[None]) -> None:
    try:
        order()
    except OSError as error:
        result.set_exception(error)
    else:
        result.set_result(None)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(_WAIT_S)
    for stream in (process.stdin, process.stdout):
        if stream:
            stream.close()
