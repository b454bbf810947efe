"""A small tree of firmware for the pseudo-board: the true boot.py, and an app that says which
version each of its files has, so that a mixture shows."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_MANIFEST = """\
module("boot.py", base_path="../../firmware")
module("main.py", base_path="../../firmware")
module("first.py", base_path="../../firmware")
module("same.py", base_path="../../firmware")
module("board.py")
package("inner", base_path="../../firmware")
"""
_BOARD = """\
import os
import sys

NAME = "UNIX"


def relay_pin(index):
    raise IndexError(index)


def hold_watchdog(ms):
    pass


def reset_cause():
    return "software"


def reset():
    sys.exit(75)
"""
_MAIN = """\
import time

import first
import inner.last

with open("/%s/models/last.json" % slot) as file:
    print("running", first.VERSION, inner.last.VERSION, file.read(), "end")
{up}
try:
    while True:
        time.sleep(1)
except KeyboardInterrupt:
    print("left")
"""


def running(version):
    """What the app says."""
    return f"running {version} {version} {version} end"


def make_tree(folder: Path, version: int, filler_bytes: int = 600, up: str = "came_up()") -> Path:
    """Files that change with the version, one that does not; the filler makes one file longer."""
    texts = {
        "boards/UNIX/manifest.py": _MANIFEST,
        "boards/UNIX/board.py": _BOARD,
        "firmware/boot.py": (ROOT / "firmware" / "boot.py").read_text(),
        "firmware/main.py": _MAIN.format(up=up),
        "firmware/first.py": f"VERSION = {version}\nFILLER = {'x' * filler_bytes!r}\n",
        "firmware/same.py": "SAME = 'in all versions'\n",
        "firmware/inner/last.py": f"VERSION = {version}\n",
        "firmware/models/last.json": f"{version}",
    }
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def app_that_fails() -> str:
    """In place of the line that says that the app is up."""
    return "board.reset()"
