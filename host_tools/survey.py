"""What board this is, and what lies on it: asked of the board itself, nothing is written."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from host_tools.board_link import HASHING, BoardError, BoardLink, BoardLostError
from host_tools.slot import LIST_NAME, marker

SLOTS = ("a", "b")
ROOT_SCRIPTS = ("boot.py", "main.py")
# What `sys.implementation._machine` begins with, where a build does not tell its board's name
_MACHINES = {
    "Raspberry Pi Pico 2 W": "RPI_PICO2_W",
    "Raspberry Pi Pico W": "RPI_PICO_W",
    "Generic ESP32S3 module": "ESP32_GENERIC_S3",
    "ESP32S3 module": "ESP32_GENERIC_S3",
    "Generic ESP32C3 module": "ESP32_GENERIC_C3",
    "ESP32C3 module": "ESP32_GENERIC_C3",
    "Generic ESP32 module": "ESP32_GENERIC",
    "ESP32 module": "ESP32_GENERIC",
    "linux ": "UNIX",
    "darwin ": "UNIX",
}
# A flash that is read and hashed, 848 KB of it at 100 KB/s, speaks after each file
_FILE_TIME_S = 30.0


class UnknownBoardError(BoardError):
    """No folder in boards/ fits the board; the text says what it says it is."""


@dataclass(frozen=True)
class FoundFile:
    size: int
    sha256: str


@dataclass(frozen=True)
class Survey:
    """A board's answers. Paths in `files` are from the root, with the slash."""

    machine: str
    build: str
    version: str
    mpy: int
    installed_board: str
    """NAME of the board module that its software has loaded; "" if none has."""
    has_umqtt: bool
    marker: bytes
    boots: bytes
    block_bytes: int
    free_bytes: int
    folders: tuple[str, ...]
    """Below the slots, the deeper ones first."""
    files: dict[str, FoundFile]

    @property
    def mpy_version(self) -> tuple[int, int]:
        return self.mpy & 0xFF, self.mpy >> 8 & 3

    def slot_files(self, slot: str) -> dict[str, FoundFile]:
        """By their path within the slot."""
        start = f"/{slot}/"
        return {k[len(start) :]: v for k, v in self.files.items() if k.startswith(start)}

    def is_whole(self, slot: str) -> bool:
        return f"/{slot}/{LIST_NAME}" in self.files

    def good_slot(self) -> str:
        """The slot that must stay as it is: it runs, or would if one on trial did not come up.
        "": there is none."""
        whole = [slot for slot in SLOTS if self.is_whole(slot)]
        for slot in whole:
            if self.marker == marker(slot, "good"):
                return slot
            if self.marker == marker(slot, "trial"):
                others = [other for other in whole if other != slot]
                return (others or [slot])[0]
        return whole[0] if whole else ""

    def on_trial(self) -> str:
        """The slot that has yet to come up; "": none."""
        return next((s for s in SLOTS if self.marker == marker(s, "trial")), "")


def survey(link: BoardLink) -> Survey:
    """Ask the board, which must be stopped. Raises BoardCodeError, BoardLostError."""
    output = link.run(HASHING + _QUESTIONS, _FILE_TIME_S)
    try:
        facts, *entries = [ast.literal_eval(line) for line in output.strip().splitlines()]
        files = {path: FoundFile(size, digest) for path, size, digest in entries if digest}
        folders = tuple(path for path, _, digest in entries if not digest)
        return Survey(**facts, folders=folders, files=files)
    except (ValueError, SyntaxError, TypeError):
        raise BoardLostError(
            f"the board at {link.port} answers with something else than it was asked for; "
            f"press its reset button and try again"
        ) from None


def board_name(found: Survey, known: Sequence[str], wanted: str | None = None) -> str:
    """Which folder of boards/ fits: the one that is `wanted`, or whose software is installed,
    or the one that MicroPython's build names. Raises UnknownBoardError."""
    if wanted is not None:
        if wanted in known:
            return wanted
        raise UnknownBoardError(f"there is no board {wanted!r}; there are {', '.join(known)}")
    built_for = found.build.split("-")[0]
    machine = next(
        (name for text, name in _MACHINES.items() if found.machine.startswith(text)), ""
    )
    for name in (found.installed_board, built_for, machine):
        if name in known:
            return name
    raise UnknownBoardError(
        f"the board says that it is {found.machine!r}, which fits none of {', '.join(known)}; "
        f"choose one with --board, or add yours (boards/README.md)"
    )


_QUESTIONS = """
import os, sys, gc
gc.collect()
def _thermo_read(path):
    try:
        with open(path, 'rb') as file:
            return file.read(64)
    except OSError:
        return b''
def _thermo_file(path):
    try:
        size = os.stat(path)[6]
    except OSError:
        return
    print(repr((path, size, _thermo_hash(path))))
def _thermo_walk(folder):
    try:
        entries = list(os.ilistdir(folder))
    except OSError:
        return
    for entry in entries:
        path = folder + '/' + entry[0]
        if entry[1] & 0x4000:
            _thermo_walk(path)
        else:
            _thermo_file(path)
    print(repr((folder, 0, '')))
def _thermo_has_umqtt():
    path, kept = sys.path[:], {}
    for name in ('umqtt', 'umqtt.simple'):
        if name in sys.modules:
            kept[name] = sys.modules.pop(name)
    sys.path[:] = ['.frozen']
    try:
        import umqtt.simple
        return True
    except ImportError:
        return False
    finally:
        sys.path[:] = path
        for name in ('umqtt', 'umqtt.simple'):
            sys.modules.pop(name, None)
        sys.modules.update(kept)
# LittleFS may count blocks twice; of a full flash there are then fewer than none left
def _thermo_facts():
    about, disk = sys.implementation, os.statvfs('/')
    print(repr({
        'machine': getattr(about, '_machine', sys.platform),
        'build': getattr(about, '_build', ''),
        'version': '.'.join(str(part) for part in about[1][:3]),
        'mpy': getattr(about, '_mpy', 0),
        'installed_board': getattr(sys.modules.get('board'), 'NAME', ''),
        'has_umqtt': _thermo_has_umqtt(),
        'marker': _thermo_read('/slot'),
        'boots': _thermo_read('/boots'),
        'block_bytes': disk[0],
        'free_bytes': disk[0] * disk[3] if disk[3] <= disk[2] else 0,
    }))
_thermo_facts()
for _thermo_name in ('boot.py', 'main.py', 'config.json'):
    _thermo_file('/' + _thermo_name)
for _thermo_name in ('a', 'b'):
    _thermo_walk('/' + _thermo_name)
"""
