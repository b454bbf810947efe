"""How much of the code the tests take, branch by branch: `make coverage`.

    python tests/covered.py [FILE-OR-FOLDER ...]     tests to run; the most of them if none

Hub, tools and SDK programs that run as processes of their own are counted too. What runs on the
MicroPython unix port is not: it has no `sys.settrace`; the same unit tests on CPython count for
the firmware. Ends with 1 where an area is below what it is held to.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "coverage"
# Interrupted before Python has begun, it would be coverage's own start that is met
LEFT_OUT = (
    "tests/integration/test_whole_commands.py"
    "::test_a_demonstration_interrupted_at_its_start_leaves_nothing[0.3]"
)
TESTS = ["tests/unit", "tests/boards", "tests/integration", "tests/seeds", "tests/fuzz"]
SETTINGS = f"""
[run]
branch = true
parallel = true
patch = subprocess
sigterm = true
data_file = {FOLDER}/data
source =
    {ROOT}/firmware
    {ROOT}/host_tools
"""


class Area(NamedTuple):
    """A part of the tree, by how its paths begin, and what its branches are held to."""

    begin: str
    least_percent: float


# A file belongs to the first that it fits
AREAS = [
    Area("firmware/iothub/", 100),
    Area("firmware/pnp/", 100),
    Area("firmware/thermostat/control.py", 100),
    Area("firmware/thermostat/", 95),
    Area("firmware/system/", 95),
    Area("firmware/drivers/", 95),
    Area("firmware/", 95),
    Area("host_tools/hub/wire/", 100),
    Area("host_tools/hub/digital_twins/", 95),
    Area("host_tools/hub/endpoints/", 95),
    Area("host_tools/hub/state/", 95),
    Area("host_tools/hub/", 95),
    Area("host_tools/certify/", 95),
    Area("host_tools/cloud/", 95),
    Area("host_tools/", 95),
]


def measure(tests: list[str]) -> tuple[int, dict[str, Any]]:
    """Run `tests`; pytest's exit code, and coverage's figures of each file."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    settings = FOLDER / "settings"
    settings.write_text(SETTINGS)
    coverage = [sys.executable, "-m", "coverage"]
    option = f"--rcfile={settings}"
    pytest = ["-m", "pytest", "-n", "2", "--dist", "loadfile", "--timeout", "600"]
    pytest += ["--deselect", LEFT_OUT, *tests]
    environment = {**os.environ, "COVERAGE_FILE": str(FOLDER / "data")}
    code = subprocess.run(
        [*coverage, "run", option, *pytest], cwd=ROOT, env=environment
    ).returncode
    report = FOLDER / "report.json"
    for last in (["combine", "-q", option], ["json", "-q", option, "-o", str(report)]):
        subprocess.run([*coverage, *last], cwd=ROOT, env=environment, check=True)
    subprocess.run([*coverage, "html", "-q", option, "-d", str(FOLDER / "html")], cwd=ROOT)
    return code, json.loads(report.read_text())["files"]


def area_of(path: str) -> Area:
    return next(area for area in AREAS if path.startswith(area.begin))


def percent(summaries: list[dict[str, Any]]) -> float:
    """Of statements and branches together, as coverage counts them."""
    all_of = sum(each["num_statements"] + each["num_branches"] for each in summaries)
    taken = sum(each["covered_lines"] + each["covered_branches"] for each in summaries)
    return 100.0 * taken / all_of if all_of else 100.0


def main(tests: list[str]) -> int:
    code, files = measure(tests or TESTS)
    by_area: dict[Area, dict[str, dict[str, Any]]] = {area: {} for area in AREAS}
    for path, found in files.items():
        by_area[area_of(path)][path] = found["summary"]
    print(f"\n{'area':<34}{'files':>6}{'taken':>9}{'least':>7}")
    red = code != 0
    for area, summaries in by_area.items():
        share = percent(list(summaries.values()))
        is_low = share < area.least_percent
        red = red or is_low
        mark = "  too low" if is_low else ""
        print(f"{area.begin:<34}{len(summaries):>6}{share:>8.2f}%{area.least_percent:>6}%{mark}")
        for path, summary in sorted(summaries.items()):
            if percent([summary]) < area.least_percent:
                print(f"    {path:<46}{percent([summary]):>7.2f}%")
    print("Line by line: build/coverage/html/index.html")
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
