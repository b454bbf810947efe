"""What a deploy has to do: pure, from what is wanted and what lies on the board.

The slot that is known to be good is never touched; the other one becomes what is wanted. A file
that lies in either slot with the right hash is not sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from host_tools.slot import LIST_NAME
from host_tools.survey import SLOTS, FoundFile, Survey

# Of LittleFS, with a cache of 1 KB: smaller files lie in their folder's own pair of blocks
_INLINE_BYTES = 512
# A block holds that much of a long file beside its pointers
_POINTERS_BYTES = 16
# The folder itself, with names, small files and room for what is renamed
_BLOCKS_OF_FOLDER = 2
# A file that is written over takes its old blocks until it is closed; marker and scripts are
# written anew before they are renamed
_SPARE_BLOCKS = 10


@dataclass(frozen=True)
class Plan:
    """Paths are within the slot `target`; strangers and folders too."""

    good: str
    target: str
    send: tuple[str, ...] = ()
    copy: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    strangers: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    """Of /boot.py and /main.py those that change."""
    foreign: tuple[str, ...] = ()
    """Of these, those of somebody else, which are to be kept under another name."""
    is_done: bool = False
    """What is wanted lies in the good slot already, and comes up from there."""
    needed_bytes: int = 0
    sizes: Mapping[str, int] = field(default_factory=dict)

    @property
    def sent_bytes(self) -> int:
        return sum(self.sizes[name] for name in (*self.send, *self.scripts))


def plan_deploy(
    wanted: Mapping[str, FoundFile], scripts: Mapping[str, FoundFile], found: Survey
) -> Plan:
    """wanted: the files of a slot, its list included. scripts: those for the root."""
    good = found.good_slot()
    changed = tuple(n for n, file in scripts.items() if found.files.get(f"/{n}") != file)
    in_good = found.slot_files(good) if good else {}
    if good and in_good == dict(wanted) and not changed and found.on_trial() in ("", good):
        return Plan(good, good, keep=tuple(wanted), is_done=True, sizes=_sizes(wanted, scripts))
    target = next(slot for slot in SLOTS if slot != good)
    there = found.slot_files(target)
    files = {name: file for name, file in wanted.items() if name != LIST_NAME}
    keep = tuple(n for n, file in files.items() if there.get(n) == file)
    copy = tuple(n for n, file in files.items() if n not in keep and in_good.get(n) == file)
    send = tuple(n for n in files if n not in keep and n not in copy)
    return Plan(
        good=good,
        target=target,
        send=send,
        copy=copy,
        keep=keep,
        strangers=tuple(n for n in there if n not in files),
        scripts=changed,
        foreign=()
        if good or found.marker
        else tuple(n for n in changed if f"/{n}" in found.files),
        needed_bytes=_needed(wanted, there, keep, found.block_bytes),
        sizes=_sizes(wanted, scripts),
    )


def _sizes(*parts: Mapping[str, FoundFile]) -> dict[str, int]:
    return {name: file.size for part in parts for name, file in part.items()}


def _needed(
    wanted: Mapping[str, FoundFile],
    there: Mapping[str, FoundFile],
    keep: tuple[str, ...],
    block_bytes: int,
) -> int:
    """How much of the flash must be free: what comes less what goes, and room to work."""
    coming = sum(_blocks(f.size, block_bytes) for n, f in wanted.items() if n not in keep)
    going = sum(_blocks(f.size, block_bytes) for n, f in there.items() if n not in keep)
    new_folders = _folders(wanted) - _folders(there)
    blocks = coming - going + _BLOCKS_OF_FOLDER * len(new_folders) + _SPARE_BLOCKS
    return blocks * block_bytes


def _blocks(size: int, block_bytes: int) -> int:
    return 0 if size <= _INLINE_BYTES else -(-size // (block_bytes - _POINTERS_BYTES))


def _folders(files: Mapping[str, FoundFile]) -> set[str]:
    """With the slot's own, if there is anything in it."""
    return {name.rpartition("/")[0] for name in files}
