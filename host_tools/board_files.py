"""Which files go onto a board: what its `boards/BOARD/manifest.py` names, and the firmware's data.

A manifest.py is written for MicroPython's own build, which freezes what it names into the
firmware image. The same file says here what goes onto the board's file system, so that there is
one list. Data (models, root certificates) cannot be frozen and is in no manifest.

Source: MicroPython documentation, "MicroPython manifest files".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from host_tools.problem import Problem
from host_tools.tree import source_tree

TREE = source_tree()
# They lie at the root of the flash and choose the slot that the other files are in
ROOT_NAMES = ("boot.py", "main.py")
# What the firmware reads beside its modules, as patterns below firmware/
_DATA = ("models/*.json", "roots/*.der")
_MANIFEST = "manifest.py"
# Variables of MicroPython's build: what begins with one is a part of MicroPython itself
_VARIABLE = "$("


class BoardFilesError(Problem):
    """There is no such board, or its manifest is not to be followed; the text says what to do."""


@dataclass(frozen=True, order=True)
class BoardFile:
    """One file: where it lies here, and its path on the board, relative, with slashes."""

    target: str
    source: Path


@dataclass
class Manifest:
    """What a manifest names: modules by their path on the board, and libraries to require."""

    modules: dict[str, Path] = field(default_factory=dict)
    libraries: list[str] = field(default_factory=list)


def boards(root: Path = TREE) -> list[str]:
    """MicroPython's names of the boards there are, in order."""
    return sorted(
        path.parent.name for path in root.glob(f"boards/*/{_MANIFEST}") if _is_board(path)
    )


def board_files(board: str, root: Path = TREE) -> list[BoardFile]:
    """What goes into a slot of `board`: firmware, the board's own modules, models and roots.

    Modules have their .py names; compiling them is up to who sends them. Raises BoardFilesError.
    """
    modules = read_manifest(board, root).modules
    found = [BoardFile(target, source) for target, source in modules.items()]
    firmware = root / "firmware"
    for pattern in _DATA:
        for path in firmware.glob(pattern):
            found.append(BoardFile(path.relative_to(firmware).as_posix(), path))
    return sorted(file for file in found if file.target not in ROOT_NAMES)


def root_files(board: str, root: Path = TREE) -> list[BoardFile]:
    """What lies at the root of the flash: boot.py and main.py. Raises BoardFilesError."""
    modules = read_manifest(board, root).modules
    missing = [name for name in ROOT_NAMES if name not in modules]
    if missing:
        raise BoardFilesError(f"the manifest of {board} names no {missing[0]}; include firmware's")
    return [BoardFile(name, modules[name]) for name in ROOT_NAMES]


def read_manifest(board: str, root: Path = TREE) -> Manifest:
    """What `boards/BOARD/manifest.py` and those that it includes name. Raises BoardFilesError."""
    if board not in boards(root):
        raise BoardFilesError(f"there is no board {board!r}; there are {', '.join(boards(root))}")
    found = Manifest()
    _Reader(root / "boards" / board, found).run(_MANIFEST)
    return found


def _is_board(manifest: Path) -> bool:
    """Folders whose manifest others include have no board.py."""
    return (manifest.parent / "board.py").is_file()


class _Reader:
    """The functions of one manifest file, whose relative paths begin at `folder`."""

    def __init__(self, folder: Path, found: Manifest) -> None:
        self._folder = folder
        self._path = folder
        self._found = found

    def run(self, name: str) -> None:
        self._path = self._folder / name
        functions: dict[str, Callable[..., None]] = {
            "include": self._include,
            "metadata": self._ignore,
            "module": self._module,
            "package": self._package,
            "require": self._require,
        }
        try:
            code = compile(self._path.read_bytes(), str(self._path), "exec")
            exec(code, dict(functions))
        except (OSError, SyntaxError, NameError, TypeError) as error:
            raise BoardFilesError(
                f"{self._path} cannot be followed: {error}; correct it"
            ) from None

    def _include(self, path: str) -> None:
        if path.startswith(_VARIABLE):
            return
        included = self._folder / path
        if included.is_dir():
            included /= _MANIFEST
        _Reader(included.parent, self._found).run(included.name)

    def _module(self, path: str, base_path: str = ".", opt: int | None = None) -> None:
        self._add(self._folder / base_path, path)

    def _package(
        self,
        path: str,
        files: list[str] | None = None,
        base_path: str = ".",
        opt: int | None = None,
    ) -> None:
        base = self._folder / base_path
        if not (base / path).is_dir():
            raise self._wrong(f"names the package {path!r}, but {base / path} is no folder")
        for name in files if files is not None else _modules_below(base / path):
            self._add(base, f"{path}/{name}")

    def _require(self, name: str, version: str | None = None) -> None:
        if name not in self._found.libraries:
            self._found.libraries.append(name)

    def _ignore(self, **about: str) -> None:
        """The manifest's own description and version."""

    def _add(self, base: Path, target: str) -> None:
        source = (base / target).resolve()
        if source.suffix != ".py" or not source.is_file():
            raise self._wrong(f"names {target!r}, but {source} is no module")
        if self._found.modules.setdefault(target, source) != source:
            raise self._wrong(f"names {target!r} a second time, from another folder")

    def _wrong(self, what: str) -> BoardFilesError:
        return BoardFilesError(f"{self._path} {what}; correct the manifest")


def _modules_below(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*.py")):
        yield path.relative_to(folder).as_posix()
