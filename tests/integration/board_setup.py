"""Pseudo-boards with software on them, and what to look for on them."""

import base64
import secrets
import time
from pathlib import Path

from meanwhile import Meanwhile
from pseudo_board import PseudoBoard, flash

from host_tools import configuration
from host_tools.slot import LIST_NAME, build_slot, marker
from host_tools.tree import cache_folder, source_tree

# A member of the configuration: tests need not wait ten seconds for each `up`
SOON_UP = {"supervision": {"up_after_s": 1}}


def fresh_key():
    """A key that nobody else has: to be found wherever it leaks to."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


def installed_board(folder, files=(), **settings):
    """One that has the whole firmware in slot a; `files`: more of them, {path: content}."""
    board = PseudoBoard(folder, **settings)
    slot = build_slot("UNIX", cache_folder() / "slots" / "UNIX")
    for name in [*slot.files, LIST_NAME]:
        flash.write(board.flash, f"/a/{name}", (slot.folder / name).read_bytes())
    flash.write(board.flash, "/slot", marker("a", "good"))
    for name in ("boot.py", "main.py"):
        content = (source_tree() / "firmware" / name).read_bytes()
        flash.write(board.flash, f"/{name}", content)
    for name, content in dict(files).items():
        flash.write(board.flash, name, content)
    return board


def stored(board):
    """The configuration that the board would go by now, and the files that it names."""
    files = {name.lstrip("/"): content for name, content in board.files().items()}
    content = configuration.newest("config.json", files)
    named = configuration.referenced_files(content or {})
    return content, {name: files.get(name) for name in named}


class ProcessList(Meanwhile):
    """The command lines and environments of all processes, as long as the block lasts."""

    def __init__(self):
        super().__init__()
        self.commands = set()
        self.environments = set()

    def has(self, text):
        return any(text.encode() in each for each in self.commands | self.environments)

    def watch(self):
        while not self.is_over.is_set():
            for path in Path("/proc").glob("[0-9]*"):
                for name, seen in (("cmdline", self.commands), ("environ", self.environments)):
                    try:
                        seen.add((path / name).read_bytes())
                    except OSError:
                        pass  # it has ended, or is another user's
            time.sleep(0.02)


def lines_of(board, start=0):
    return bytes(board.transcript[start:]).decode(errors="replace")
