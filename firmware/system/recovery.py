"""What is kept of starts that went well, and of those that did not. In the heap only when needed.

    boots, slot   beside boot.py, whose files they are: this start was a good one
    crash.txt     what ended the last few starts, for whoever looks after the board
    crash.txt.told   the last of them has been told to the hub as well

Of a crash only places in the program and the kind of error are kept: the text of an error may be
made of what was being worked on, a connection string for example.
"""

import io
import os
import sys

from micropython import const

_LARGEST_BYTES = const(2048)
_MOST_PLACES = const(12)
_ENTRY = const(b"crash, ")
_TOLD = const(".told")
# The texts of these name things of the program, or say how much memory was wanted
_HARMLESS = const(("ImportError", "AttributeError", "NameError", "SyntaxError", "MemoryError"))


def keep(path, content):
    """Old or new, whenever the power goes; old, if the flash is full, which stops nothing."""
    if _last_bytes(path) == content:
        return
    try:
        with open(path + ".new", "wb") as file:
            file.write(content)
        os.rename(path + ".new", path)
    except OSError as error:
        print("%s not written: %s" % (path, error))


def come_up(root, slot, good):
    """The app works: no start counts any more, and the marker becomes `good`."""
    if slot != "-":
        keep(root + "boots", b"0")
        keep(root + "slot", good)
    print("up", slot)


def note_crash(path, title, error):
    """Add `error`, an exception or its traceback as text, to the file at `path`."""
    if not isinstance(error, str):
        text = io.StringIO()
        sys.print_exception(error, text)
        error = text.getvalue()
    entry = "crash, %s: %s\n" % (title, summary(error))
    print(entry, end="")
    content = _last_bytes(path) + entry.encode()[:_LARGEST_BYTES]
    if len(content) > _LARGEST_BYTES:
        # Whole entries: from the first that begins within the last so many bytes
        content = content[content.find(b"\ncrash, ", -_LARGEST_BYTES) + 1 :][-_LARGEST_BYTES:]
    keep(path, content)
    try:
        os.remove(path + _TOLD)
    except OSError:
        pass  # none of them had been told


def take_untold(path):
    """The last entry of the file at `path`, once; "" if there is none or it has been told."""
    at = _last_bytes(path).rfind(_ENTRY)
    if at < 0 or _last_bytes(path + _TOLD):
        return ""
    keep(path + _TOLD, b"1")
    return _last_bytes(path)[at:].decode()


def summary(traceback):
    """The kind of error and, in lines of their own, the last places of `traceback`."""
    places = []
    kind = "unknown"
    for line in traceback.split("\n"):
        if line.startswith("  File "):
            places.append("\n" + line)
        elif places and not line.startswith(" "):
            kind, _, text = line.partition(":")
            if kind in _HARMLESS or text.startswith(" [Errno "):
                kind = line
            break
    return kind[:120] + "".join(places[-_MOST_PLACES:])


def _last_bytes(path):
    try:
        size = os.stat(path)[6]
        with open(path, "rb") as file:
            file.seek(max(0, size - _LARGEST_BYTES))
            return file.read(_LARGEST_BYTES)
    except OSError:
        return b""
