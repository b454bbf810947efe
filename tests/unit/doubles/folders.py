"""Folders of files that tests write, on either interpreter."""

import os


def make(folder):
    """`folder` and what it lies in, as far as they are not there."""
    parts = folder.split("/")
    for end in range(1, len(parts) + 1):
        try:
            os.mkdir("/".join(parts[:end]) or "/")
        except OSError:
            pass  # it is there


def empty(folder):
    """`folder`, with no files in it."""
    make(folder)
    for name in os.listdir(folder):
        os.remove(folder + "/" + name)
