"""Run the unit tests on the MicroPython unix port, each file in an interpreter of its own.

    python tests/on_micropython.py MICROPYTHON [FILE-OR-FOLDER ...]

`test_*.py` are the files that pytest runs too; `budget_*.py` measure the heap and run here
only. A file that crashes or hangs the interpreter counts as one failure and stops nothing.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UNIT = ROOT / "tests" / "unit"
HOST_ONLY = UNIT / "host_tools"
TIME_LIMIT_S = 120
# The heap that `make run` gives the firmware is 256 KB; tests hold doubles and records besides.
HEAP = "2m"


def files(arguments: list[str]) -> list[Path]:
    roots = [Path(a).resolve() for a in arguments] or [UNIT]
    found = {
        path
        for root in roots
        for path in (
            [root] if root.is_file() else [*root.rglob("test_*.py"), *root.rglob("budget_*.py")]
        )
    }
    return sorted(path for path in found if HOST_ONLY not in path.parents)


def run(interpreter: str, path: Path) -> tuple[int, int, str]:
    folders = [ROOT / "firmware", ROOT / "boards" / "UNIX", ROOT / "build" / "lib", UNIT]
    environment = dict(os.environ, MICROPYPATH=":".join([*map(str, folders), ".frozen"]))
    command = [
        interpreter,
        "-X",
        f"heapsize={HEAP}",
        str(ROOT / "tests" / "run_one.py"),
        str(path),
    ]
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        return 0, 1, f"FAILED {path}: still running after {TIME_LIMIT_S} s\n"
    result = re.search(r"^result (\d+) (\d+)$", done.stdout, re.MULTILINE)
    if result is None:
        return 0, 1, f"FAILED {path}: the interpreter ended\n{done.stdout}{done.stderr}"
    passed, failed = int(result[1]), int(result[2])
    return passed, failed, done.stdout + done.stderr if failed else ""


def main() -> int:
    interpreter, *arguments = sys.argv[1:]
    found = files(arguments)
    passed = failed = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for one_passed, one_failed, text in pool.map(lambda path: run(interpreter, path), found):
            passed, failed = passed + one_passed, failed + one_failed
            if text:
                print(text, end="", flush=True)
    print(f"MicroPython unix port, {len(found)} files:")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
