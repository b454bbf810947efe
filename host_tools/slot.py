"""The software of one slot, as it lies on a board: compiled, complete, with a list of its hashes.

`thermo deploy` sends such a folder to a running board, `thermo image` puts it into a flash image.
The list, `files.json`, is written last and makes a slot: without it boot.py passes the slot by.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from host_tools import umqtt
from host_tools.board_files import board_files
from host_tools.compile import compile_files
from host_tools.tree import source_tree

LIST_NAME = "files.json"
UMQTT_NAME = "umqtt/simple.py"
_VERSION_DIGITS = 12


@dataclass(frozen=True)
class Slot:
    """A built slot: where it lies, what it is called, and the SHA-256 of each of its files."""

    folder: Path
    version: str
    files: dict[str, str]


def build_slot(
    board: str,
    folder: Path,
    *,
    with_umqtt: bool = True,
    root: Path | None = None,
    kept: Iterable[str] = (),
) -> Slot:
    """Bring `folder` up to date with the software for `board`; only what changed is compiled.

    with_umqtt: put umqtt.simple in, for boards that have none frozen. kept: names of other files
    that may lie in the folder.
    Raises BoardFilesError, CompileError, UmqttError, OSError.
    """
    sources = {file.target: file.source for file in board_files(board, root or source_tree())}
    if with_umqtt:
        sources[UMQTT_NAME] = umqtt.library() / UMQTT_NAME
    # By name, not by what lies there: another run may be at work in the same folder
    names = compile_files(sources, folder, kept=(LIST_NAME, *kept))
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    slot = Slot(folder, version_of(files), files)
    partial = folder / f"{LIST_NAME}.{os.getpid()}.part"
    partial.write_bytes(list_text(slot))
    os.replace(partial, folder / LIST_NAME)
    return slot


def version_of(files: dict[str, str]) -> str:
    """The same files have the same version, whoever builds them, and others another one."""
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(files.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:_VERSION_DIGITS]


def list_text(slot: Slot) -> bytes:
    """The content of `files.json`."""
    content = {"version": slot.version, "files": slot.files}
    return json.dumps(content, separators=(",", ":"), sort_keys=True).encode()


def marker(name: str, state: str) -> bytes:
    """The content of `/slot`: the slot that runs, `trial` or `good`, and a CRC-32 of both."""
    text = f"{name} {state}".encode()
    return b"%s %08x\n" % (text, zlib.crc32(text))
