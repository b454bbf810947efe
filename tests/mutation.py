"""Changes the firmware's code in small ways and sees whether its tests notice: `make mutation`.

    python tests/mutation.py [PART ...]      parts: sas topics twin control; all of them if none

mutmut wants a package called `src`, so the firmware and its tests are laid out so in
build/mutation. Each part is tried with the tests of its own.

Tests that live through months or thousands of random cases are left out: every change runs them
all, and each has to be seen by a test that says what should be.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "mutation"
# What is changed, and the tests that have to see it
PARTS = {
    "sas": ("iothub/sas.py", "iothub/test_sas.py"),
    "topics": ("iothub/topics.py", "iothub/test_topics.py"),
    "twin": ("pnp/device.py", "pnp"),
    "control": ("thermostat/control.py", "thermostat/test_control.py"),
}
# Words in the names of tests that take long
LEFT_OUT = (
    "mutants_parse",
    "damaged",
    "homes_raise_no_alarm",
    "relay_that_sticks",
    "dead_heater",
    "heater_too_small",
    "random_traces",
    "fit_thirty_bits",
)
LEAST_PER_CENT = 85
# Exit codes of pytest under mutmut: a test failed, or broke, or the change runs for ever
SURVIVED = 0
NOTICED = {1, 3, 36, 24, -24, 152, 255}

SETTINGS = """
[tool.pytest.ini_options]
pythonpath = ["src", "shims", "UNIX", "lib", "tests/unit", "tests"]
addopts = "--import-mode=importlib -q -p no:cacheprovider -k 'not {left_out}'"
timeout = 60

[tool.mutmut]
source_paths = ["src"]
only_mutate = ["src/{changed}"]
also_copy = ["shims", "UNIX", "lib"]
pytest_add_cli_args_test_selection = ["tests/unit/{tests}"]
use_git_change_detection = false
"""


def lay_out(part: str) -> Path:
    """A folder as mutmut wants it, for one part."""
    folder = FOLDER / part
    shutil.rmtree(folder, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", "roots")
    shutil.copytree(ROOT / "firmware", folder / "src", ignore=ignored)
    shutil.copytree(ROOT / "tests" / "unit", folder / "tests" / "unit", ignore=ignored)
    shutil.copytree(ROOT / "tests" / "shims", folder / "shims", ignore=ignored)
    shutil.copytree(ROOT / "boards" / "UNIX", folder / "UNIX", ignore=ignored)
    shutil.copytree(ROOT / "build" / "lib", folder / "lib", ignore=ignored)
    changed, tests = PARTS[part]
    (folder / "pyproject.toml").write_text(
        SETTINGS.format(changed=changed, tests=tests, left_out=" and not ".join(LEFT_OUT))
    )
    return folder


def tried(part: str) -> dict[str, int | None]:
    """mutmut's exit code for each change."""
    folder = lay_out(part)
    subprocess.run([sys.executable, "-m", "mutmut", "run", "--max-children", "2"], cwd=folder)
    path = folder / "mutants" / "src" / (PARTS[part][0] + ".meta")
    found: dict[str, int | None] = json.loads(path.read_text())["exit_code_by_key"]
    return found


def main(wanted: list[str]) -> int:
    unknown = set(wanted) - set(PARTS)
    if unknown:
        print(f"mutation: no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
        return 2
    rows, red = [], False
    for part in wanted or PARTS:
        found = tried(part)
        if not set(found.values()) - {None}:
            print(f"mutation: {part}: the code as it is fails its tests, see above")
            return 2
        noticed = [name for name, code in found.items() if code in NOTICED]
        share = 100 * len(noticed) / len(found)
        red = red or share < LEAST_PER_CENT
        rows.append((part, len(found), len(noticed), share))
        for name in sorted(set(found) - set(noticed)):
            what = "survived" if found[name] == SURVIVED else f"ended with {found[name]}"
            print(f"{part}: {what}: {name}")
    print(f"\n{'part':<10}{'changes':>9}{'noticed':>9}{'score':>9}   at least {LEAST_PER_CENT} %")
    for part, count, noticed_count, share in rows:
        print(f"{part:<10}{count:>9}{noticed_count:>9}{share:>7.1f} %")
    print("See one: cd build/mutation/PART && python -m mutmut show NAME")
    return 1 if red else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
