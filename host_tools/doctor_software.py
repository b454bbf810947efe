"""What MicroPython and which of our software a board has, and how that has been running."""

from __future__ import annotations

import json
from collections.abc import Iterator

from host_tools.board_link import BoardCodeError
from host_tools.board_session import BoardFlash
from host_tools.finding import BAD, OK, WARNING, Finding
from host_tools.slot import LIST_NAME
from host_tools.survey import ROOT_SCRIPTS, SLOTS, Survey, survey

_LEAST_MICROPYTHON = (1, 25)
_BAD_BOOTS = 5
# Set points, a backup of the configuration and a crash file need less; a deploy needs a slot
_LOW_FLASH_BYTES = 32 * 1024
_DEPLOY = "thermo deploy"


def examine_software(board: BoardFlash) -> Iterator[Finding]:
    """Raises BoardLostError."""
    try:
        found = survey(board.link)
    except BoardCodeError as error:
        yield Finding("MicroPython", BAD, str(error), "flash it anew: thermo flash")
        return
    yield _micropython(found)
    yield _slots(board, found)
    yield _flash(found)
    yield _starts(found)
    yield _crashes(board)


def _micropython(found: Survey) -> Finding:
    text = f"MicroPython {found.version} on {found.machine}"
    parts = [int(part) for part in found.version.split(".")[:2] if part.isdigit()]
    if tuple(parts) < _LEAST_MICROPYTHON:
        return Finding("MicroPython", BAD, text, "flash 1.25 or newer: thermo flash")
    return Finding("MicroPython", OK, text)


def _slots(board: BoardFlash, found: Survey) -> Finding:
    part = "software"
    whole = [slot for slot in SLOTS if found.is_whole(slot)]
    if not whole:
        return Finding(part, BAD, "no slot has whole software", f"install it: {_DEPLOY}")
    text = ", ".join(f"{slot}: {_version(board, slot)}" for slot in whole)
    if not all(f"/{name}" in found.files for name in ROOT_SCRIPTS):
        return Finding(part, BAD, f"{text}; boot.py or main.py is missing", _DEPLOY)
    slot = found.good_slot()
    damaged = _damaged(board, found, slot)
    if damaged:
        some = ", ".join(damaged[:3])
        return Finding(part, BAD, f"{text}; in {slot} not as it was deployed: {some}", _DEPLOY)
    if found.on_trial():
        advice = "see whether it comes up: thermo monitor"
        return Finding(part, WARNING, f"{text}; {found.on_trial()} is on trial", advice)
    return Finding(part, OK, f"{text}; {slot} runs, its files are as deployed")


def _list(board: BoardFlash, slot: str) -> dict[str, object]:
    try:
        found = json.loads(board.read(f"/{slot}/{LIST_NAME}"))
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def _version(board: BoardFlash, slot: str) -> str:
    return str(_list(board, slot).get("version", "unknown"))[:40]


def _damaged(board: BoardFlash, found: Survey, slot: str) -> list[str]:
    """Files that are missing or not what the slot's list says; the list itself, if it is bad."""
    wanted = _list(board, slot).get("files")
    if not isinstance(wanted, dict):
        return [LIST_NAME]
    there = found.slot_files(slot)
    return [
        name
        for name, digest in wanted.items()
        if name not in there or there[name].sha256 != digest
    ]


def _flash(found: Survey) -> Finding:
    text = f"{found.free_bytes // 1024} KB free"
    if found.free_bytes < _LOW_FLASH_BYTES:
        return Finding("flash", WARNING, text, "remove files of your own from it: mpremote ls")
    return Finding("flash", OK, text)


def _starts(found: Survey) -> Finding:
    content = found.boots.strip()
    count = int(content) if content.isdigit() and len(content) < 9 else 0
    if not count:
        return Finding("starts", OK, "none that failed since it last came up")
    advice = "see why: thermo monitor"
    if count >= _BAD_BOOTS - 1:
        return Finding("starts", BAD, f"{count} failed in a row: safe mode is near or on", advice)
    return Finding("starts", WARNING, f"{count} that have not come up yet", advice)


def _crashes(board: BoardFlash) -> Finding:
    if not board.link.exists("/crash.txt"):
        return Finding("crashes", OK, "none kept")
    text = board.read("/crash.txt").decode(errors="replace")
    entries = [line for line in text.splitlines() if line.startswith("crash, ")]
    last = entries[-1][:100] if entries else "unreadable"
    advice = "read it (mpremote cat :crash.txt), then remove it"
    return Finding("crashes", WARNING, f"{len(entries)} kept, the last: {last}", advice)
