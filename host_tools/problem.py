"""What goes wrong for a person, and is told in one line."""

from __future__ import annotations


class Problem(Exception):
    """Its text says what happened and what to do; `thermo` prints it, without a traceback."""
