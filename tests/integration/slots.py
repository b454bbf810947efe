"""A board with two slots, as a folder: boot.py and main.py as they are, each start a process.

The board of these slots is the smallest there can be: relays are characters of a file `pins`, the
watchdog is the simulated one with a short limit. A hard reset lets the pins go low; a soft one
leaves them, and the watchdog, as they were.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import zlib
from pathlib import Path

from host_tools.simulated_device import interpreter
from host_tools.simulation import RESET_EXIT_CODE

ROOT = Path(__file__).resolve().parent.parent.parent
UNIX = ROOT / "boards" / "UNIX"
WATCHDOG_MS = 300
# Of main.py, at a pace that tests can wait for
PACE = {
    "_START_MS = 20000": "_START_MS = 200",
    "_SAFE_S = 300": "_SAFE_S = 100",
    "asyncio.sleep(1)": "asyncio.sleep(0.05)",
}
BOARD = f"""
import os, sys
from simulated.watchdog import LIMIT_MS, Watchdog as watchdog, hold as hold_watchdog
NAME, WATCHDOG_LIMIT_MS, data_path = "TINY", {WATCHDOG_MS}, "."
if os.getenv("THERMO_WATCHDOG_ARMED"):
    watchdog(int(os.getenv("THERMO_WATCHDOG_ARMED")))

def relay_pin(index):
    if index > 1:
        raise IndexError
    set_pin(index, 0)

def set_pin(index, level):
    with open("pins", "r+") as file:
        file.seek(index)
        file.write(str(level))

class site:
    power_off = staticmethod(lambda: None)

def console():
    return sys.stdin if os.getenv("THERMO_CONSOLE") else None

def led(on): pass
def button_pressed(): return False
def reset_cause(): return os.getenv("THERMO_RESET_CAUSE")
def reset(): sys.exit({RESET_EXIT_CODE})
"""
# What safe mode and the crash file take of a slot
SYSTEM = ("__init__", "console", "log", "modules", "recovery", "supervision")
GOOD = """
import asyncio, board
class App:
    cloud = None
    async def run(self):
        watchdog = board.watchdog(board.WATCHDOG_LIMIT_MS)
        board.set_pin(0, 1)
        for tenth in range(1000):
            watchdog.feed()
            await asyncio.sleep(0.05)
            if tenth == 4:
                self.on_up()
    def leave(self):
        print("farewell")
def assemble(board):
    return App()
def forget_builders():
    pass
"""


def marker(slot: str, state: str) -> str:
    text = f"{slot} {state}"
    return f"{text} {zlib.crc32(text.encode()):08x}\n"


class Slots:
    """`builds`: for each slot the text of its thermostat/assembly.py."""

    def __init__(self, folder: Path, builds: dict[str, str], marked: str = "") -> None:
        self.folder = folder
        folder.mkdir()
        shutil.copy(ROOT / "firmware" / "boot.py", folder)
        text = (ROOT / "firmware" / "main.py").read_text()
        for what, instead in PACE.items():
            assert text.count(what) == 1, what
            text = text.replace(what, instead)
        (folder / "main.py").write_text(text)
        if marked:
            (folder / "slot").write_text(marked)
        for slot, assembly in builds.items():
            self.fill(slot, assembly)
        self.power_off()
        self.lines: list[str] = []
        self.cause = "software"

    def fill(self, slot: str, assembly: str) -> None:
        place = self.folder / slot
        (place / "thermostat").mkdir(parents=True)
        (place / "thermostat" / "__init__.py").write_text("")
        (place / "thermostat" / "assembly.py").write_text(assembly)
        (place / "system").mkdir()
        for name in SYSTEM:
            shutil.copy(ROOT / "firmware" / "system" / f"{name}.py", place / "system")
        (place / "board.py").write_text(BOARD)
        (place / "files.json").write_text("{}")

    def power_off(self) -> None:
        """What a hard reset does to the pins."""
        (self.folder / "pins").write_text("00")

    @property
    def pins(self) -> str:
        return (self.folder / "pins").read_text()

    def text(self, name: str) -> str:
        return (self.folder / name).read_text()

    def environment(self, **more: str) -> dict[str, str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        return environment | {"MICROPYPATH": ".:.frozen", "THERMO_RESET_CAUSE": self.cause} | more

    def command(self) -> list[str]:
        return [str(interpreter()), "-X", "heapsize=256k", str(UNIX / "start.py")]

    async def start(self, until: str = "", **more: str) -> int | None:
        """One start, to its end or until a line begins with `until`; then None: it was
        interrupted, as by an operator. `lines` are what it said."""
        process = await asyncio.create_subprocess_exec(
            *self.command(),
            cwd=self.folder,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.lines = []
        try:
            assert process.stdout is not None
            async for line in process.stdout:
                self.lines.append(line.decode(errors="replace").rstrip())
                if until and self.lines[-1].startswith(until):
                    self.pins_then = self.pins
                    # What was said last is followed by collecting garbage; interrupted in that,
                    # this port with its watchdog's thread may lock up
                    await asyncio.sleep(0.2)
                    process.send_signal(signal.SIGINT)
                    await process.wait()
                    return None
            return await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
