"""All tests: pytest on CPython, the unit tests again on MicroPython, and the counts of both."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUITES = {
    "CPython": [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile", "tests"],
    "MicroPython": [
        sys.executable,
        "tests/on_micropython.py",
        os.environ.get("MICROPYTHON", str(ROOT / ".venv-micropython/bin/micropython")),
    ],
}

# Hundreds of interpreters are started: each shall find what it imports compiled, also where the
# environment asks to write nothing beside the sources
ENVIRONMENT = {**os.environ, "PYTHONPYCACHEPREFIX": str(ROOT / "build/pycache")}
ENVIRONMENT.pop("PYTHONDONTWRITEBYTECODE", None)


def run(command: list[str]) -> tuple[int, str]:
    """Run one suite, showing its lines as they come; return its exit code and its last lines."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        print(line, end="", flush=True)
        lines = [*lines[-4:], line]
    return process.wait(), "".join(lines)


def count(word: str, text: str) -> int:
    found = re.findall(rf"(\d+) {word}", text)
    return int(found[-1]) if found else 0


def main() -> int:
    rows, red = [], False
    for name, command in SUITES.items():
        began = time.monotonic()
        code, text = run(command)
        passed = count("passed", text)
        failed = count("failed", text) + count("errors?", text)
        red = red or code != 0 or passed == 0
        rows.append((name, passed, failed, time.monotonic() - began))
    print()
    for name, passed, failed, seconds in rows:
        print(f"{name:<12} {passed:>5} passed  {failed:>3} failed  {seconds:>6.1f} s")
    print(f"{sum(row[1] for row in rows)} passed, {sum(row[2] for row in rows)} failed")
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main())
