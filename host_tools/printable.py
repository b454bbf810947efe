"""Text of others on a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """What comes from a device, a path or a peer must not paint the terminal, nor begin a line of
    its own."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
