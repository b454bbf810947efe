"""The whole firmware with an operator at its terminal: the console, the ways out, the slots."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles.keys import KEY
from slots import marker

from host_tools.simulated_device import interpreter, parts
from host_tools.simulation import WATCHDOG_EXIT_CODES

SUPERVISION = {"up_after_s": 1, "watchdog_timeout_ms": 2000}


class Terminal:
    """A process at the other end of a terminal in raw mode."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        self._end, theirs = pty.openpty()
        tty.setraw(theirs)
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        self.seen = ""

    def type(self, keys: str | bytes) -> None:
        os.write(self._end, keys.encode() if isinstance(keys, str) else keys)

    def wait_for(self, pattern: str, limit_s: float = 20) -> re.Match[str]:
        """What matches next; all before it is forgotten."""
        until = time.monotonic() + limit_s
        while True:
            if found := re.search(pattern, self.seen):
                self.seen = self.seen[found.end() :]
                return found
            self._read(until, pattern)

    def _read(self, until: float, pattern: str) -> None:
        ready, _, _ = select.select([self._end], [], [], max(0, until - time.monotonic()))
        assert ready, f"no {pattern!r} in {self.seen!r}"
        try:
            data = os.read(self._end, 4096)
        except OSError:  # Linux's word for: nobody is at the other end any more
            data = b""
        assert data, f"it ended without {pattern!r}: {self.seen!r}"
        self.seen += data.decode(errors="replace")

    def ask(self, line: str) -> str:
        """The answer, one line, to `line`."""
        self.type(line + "\r")
        self.wait_for(re.escape(f"thermo> {line}\n"))
        return self.wait_for(r"(.*)\n")[1]

    def end(self) -> int:
        return self.process.wait(10)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._end)


def configure(folder: Path, **more: object) -> None:
    folder.mkdir(exist_ok=True)
    content = {"version": 1, "supervision": SUPERVISION, **more}
    (folder / "config.json").write_text(json.dumps(content))


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "THERMO_"))}
    return kept | {"THERMO_CONSOLE": "1"} | more


@contextlib.contextmanager
def thermostat(folder: Path, **more: object) -> Iterator[Terminal]:
    """The firmware as `make run` starts it, but with a terminal."""
    # With the house in the same process, and a terminal's share
    all_parts = dataclasses.replace(parts(), heap_size="512k")
    configure(folder, **more)
    settings = environment(MICROPYPATH=all_parts.search_path(), THERMO_DATA=str(folder))
    terminal = Terminal(all_parts.command(), all_parts.working_folder(), settings)
    try:
        yield terminal
    finally:
        terminal.close()


def test_questions_while_everything_goes_on(tmp_path: Path) -> None:
    with thermostat(tmp_path) as terminal:
        terminal.wait_for("\nup -\n")
        assert terminal.ask("20 + 1") == "21"
        assert 1000 < int(terminal.ask("app.rooms[0].temperature_centi_c")) < 3000
        assert terminal.ask("1 / 0").startswith("Traceback")
        terminal.wait_for("ZeroDivisionError: .*\n")
        ticks = "app.supervisor.tasks[0].seen_ticks"
        before = int(terminal.ask(ticks))
        terminal.type("half a li")
        time.sleep(2.5)
        terminal.type("\x15")
        terminal.wait_for("thermo> half a li\r\x1b\\[K(?=thermo> )")
        after = int(terminal.ask(ticks))
        assert after - before >= 2000
        terminal.type("await asyncio.sleep(2.5)\r")
        terminal.wait_for("2.5\\)\n")
        assert int(terminal.ask(ticks)) - after >= 2000
        assert terminal.ask("sum(task.falls for task in app.supervisor.tasks)") == "0"
        terminal.type("\x03")
        terminal.wait_for("stats ")
        assert terminal.end() == 0


def test_a_statement_that_never_ends_is_ended_by_the_watchdog(tmp_path: Path) -> None:
    with thermostat(tmp_path) as terminal:
        terminal.wait_for("up -")
        terminal.type("while True: pass\r")
        assert terminal.end() in WATCHDOG_EXIT_CODES


def test_half_a_letter_stops_nothing(tmp_path: Path) -> None:
    with thermostat(tmp_path, telemetry={"stats_period_s": 1}) as terminal:
        terminal.wait_for("up -")
        terminal.type(b"\xfc")
        for _ in range(4):  # longer than the watchdog waits
            terminal.wait_for("\nstats ")
        assert terminal.ask("20 + 1") == "21"


def test_a_terminal_that_goes_away_changes_nothing(tmp_path: Path) -> None:
    all_parts = parts()
    configure(tmp_path)
    settings = environment(MICROPYPATH=all_parts.search_path(), THERMO_DATA=str(tmp_path))
    process = subprocess.Popen(
        all_parts.command(),
        cwd=all_parts.working_folder(),
        env=settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any(line == "up -\n" for line in lines)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_no_secret_is_shown_of_what_is_in_scope(tmp_path: Path) -> None:
    secret = f"HostName=127.0.0.1;DeviceId=one;SharedAccessKey={KEY}"
    wifi = {"ssid": "house", "password": "wifi-" + KEY[:20]}
    with thermostat(tmp_path, connection_string=secret, wifi=wifi) as terminal:
        terminal.wait_for("up -")
        assert terminal.ask("app.cloud is None") == "False"
        seen = 0
        for what in ("app", "app.cloud", "app.cloud.session", "app.cloud.device", "board"):
            for name in json.loads(terminal.ask(f"dir({what})").replace("'", '"')):
                shown = terminal.ask(f"[{what}.{name}]")
                assert KEY not in shown, name
                assert "wifi-" not in shown, name
                seen += 1
        assert seen > 100


# ---- in slots, as on a board


def fill(slot: Path) -> None:
    all_parts = parts()
    for source in (all_parts.firmware, all_parts.board, all_parts.library):
        shutil.copytree(source, slot, dirs_exist_ok=True)
    for name in ("boot.py", "main.py", "start.py"):
        shutil.move(slot / name, slot.parent / name)
    (slot / "files.json").write_text("{}")


@contextlib.contextmanager
def board_with_slots(flash: Path) -> Iterator[Terminal]:
    command = [str(interpreter()), "-X", "heapsize=256k", "start.py"]
    settings = environment(MICROPYPATH=".frozen", THERMO_DATA=str(flash))
    terminal = Terminal(command, flash, settings | {"THERMO_RESET_CAUSE": "software"})
    try:
        yield terminal
    finally:
        terminal.close()


def test_a_new_slot_comes_up_and_a_broken_one_leads_to_safe_mode(tmp_path: Path) -> None:
    flash = tmp_path / "flash"
    for slot in ("a", "b"):
        fill(flash / slot)
    configure(flash)
    (flash / "slot").write_text(marker("b", "trial"))
    with board_with_slots(flash) as terminal:
        terminal.wait_for("up b\n")
        assert terminal.ask("app.__class__.__name__") == "'App'"
        terminal.type("\x03")
        assert terminal.end() == 0
    assert (flash / "slot").read_text() == marker("b", "good")
    assert (flash / "boots").read_text() == "0"
    (flash / "b" / "thermostat" / "control.mpy").write_bytes(b"M\x06\x00")
    for _ in range(5):
        with board_with_slots(flash) as terminal:
            assert terminal.end() == 75
    with board_with_slots(flash) as terminal:
        terminal.wait_for("safe mode\n")
        assert terminal.ask("app is None") == "True"
        assert terminal.ask("board.NAME") == "'UNIX'"
        assert terminal.ask("[board.site.pin(i).value() for i in (0, 1)]") == "[0, 0]"
        assert "crash, slot b, start 5: " in (flash / "crash.txt").read_text()
        terminal.type("\x03")
        assert terminal.end() == 0
