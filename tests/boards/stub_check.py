"""Holds everything that goes onto a board against the types of that board's own modules.

The firmware has no annotations, so what is looked for is what a board would stumble over: modules,
attributes and functions that it does not have, and wrong numbers of arguments. What the stubs
themselves do not know is listed in `KNOWN`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from host_tools.board_files import TREE, board_files, root_files

STUBS = TREE / "build" / "stubs"
_TYPESHED = STUBS / "micropython-stdlib-stubs"
_CODES = {
    "attr-defined",
    "call-arg",
    "call-overload",
    "import-not-found",
    "name-defined",
    "union-attr",
}
# What is None until somebody sets it is the rule here
_NONE = 'Item "None" of'
_FINDING = re.compile(r"^(?P<path>.+?):(?P<line>\d+): error: (?P<text>.*) \[(?P<code>[a-z-]+)\]$")

# (file on the board, what mypy says, why it is right all the same)
KNOWN = (
    ("boot.py", "is not defined", "made global in a function"),
    ("main.py", "is not defined", "left by boot.py in the namespace that both run in"),
    ("system/tls.py", 'has no attribute "verify_mode"', "missing in the stubs"),
    ("system/dialer.py", 'has no attribute "core"', "asyncio.core is missing in the stubs"),
    ("drivers/reading.py", '"Sensor" has no attribute "_collect"', "each chip has its own"),
    ("thermostat/settings.py", '"Section" has no attribute', "filled from a table"),
    ("pnp/schema.py", "No overload variant", "what is no list is a dict there"),
    # RP2's own builds freeze none: `thermo deploy` brings it, see boards/shared/firmware.py
    ("iothub/mqtt.py", 'named "umqtt', "RP2 has none frozen"),
)


def findings(board: str, shadows: dict[str, Path] | None = None) -> list[str]:
    """What a board would stumble over, a line each; `shadows`: other content for some files."""
    sources = {file.target: file.source for file in board_files(board) + root_files(board)}
    modules = {target: path for target, path in sources.items() if path.suffix == ".py"}
    found = [
        f"{target}:{line}: {text}"
        for target, line, text in _mypy(board, modules, shadows or {})
        if not _is_known(target, text)
    ]
    return sorted(set(found))


def stubs_of(board: str) -> Path:
    slug = board.lower().replace("_", "-")
    found = list(STUBS.glob(f"micropython-*-{slug}-stubs"))
    assert found, f"no stubs for {board} in build/stubs: run `make setup`"
    return found[0]


def _mypy(
    board: str, modules: dict[str, Path], shadows: dict[str, Path]
) -> list[tuple[str, str, str]]:
    """(file on the board, line, text) of each finding of the kinds that are looked for."""
    bases = {str(path)[: -len(target) - 1] for target, path in modules.items()}
    paths = [*sorted(bases), str(stubs_of(board)), str(_TYPESHED)]
    command = [sys.executable, "-m", "mypy", "--config-file", os.devnull, "--no-error-summary"]
    command += ["--check-untyped-defs", "--explicit-package-bases", "--hide-error-context"]
    command += ["--python-version", "3.10", "--custom-typeshed-dir", str(_TYPESHED)]
    # mypy's cache takes a shadow of the same age and size for the one before it
    cache = Path(os.devnull) if shadows else TREE / "build" / "mypy" / board
    command += ["--cache-dir", str(cache)]
    for target, shadow in shadows.items():
        command += ["--shadow-file", str(modules[target]), str(shadow)]
    done = subprocess.run(
        [*command, *map(str, modules.values())],
        cwd=TREE,
        env={**os.environ, "MYPYPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    # 0: nothing, 1: findings, in the stubs themselves for the most part; 2: it did not run
    assert done.returncode in (0, 1), done.stdout + done.stderr
    targets = {path: target for target, path in modules.items()}
    found = []
    for line in done.stdout.splitlines():
        match = _FINDING.match(line)
        if match and match["code"] in _CODES and not match["text"].startswith(_NONE):
            target = targets.get(TREE / match["path"])
            if target:
                found.append((target, match["line"], match["text"]))
    return found


def _is_known(target: str, text: str) -> bool:
    return any(target == file and part in text for file, part, _ in KNOWN)
