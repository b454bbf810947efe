"""Runs a script of tests/fault/board, or another folder, on the MicroPython unix port."""

import json
import os
import re
import subprocess
from pathlib import Path

from host_tools.simulated_device import interpreter

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = [
    ROOT / "firmware",
    ROOT / "boards" / "UNIX",
    ROOT / "tests" / "unit",
    ROOT / "build" / "lib",
    ".frozen",
]


def command(script, *arguments, heap="2m", folder="fault"):
    path = ROOT / "tests" / folder / "board" / script
    return [str(interpreter()), "-X", f"heapsize={heap}", str(path), *map(str, arguments)]


def environment():
    return {**os.environ, "MICROPYPATH": ":".join(map(str, FOLDERS))}


def run(script, *arguments, heap="2m", timeout=100, folder="fault"):
    """The JSON behind the word `result` that the script prints in the end."""
    done = subprocess.run(
        command(script, *arguments, heap=heap, folder=folder),
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    found = re.search(r"^result (.*)$", done.stdout, re.MULTILINE)
    if done.returncode or found is None:
        raise AssertionError(done.stdout[-2000:] + done.stderr[-2000:])
    return json.loads(found[1])
