"""Where `firmware/` and `boards/` lie, and where what is made of them may be kept.

In a checkout both are the checkout's own. A wheel carries a copy of the two, and what is made
of them belongs into the user's cache folder, since site-packages may be read-only.
"""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parent
_CARRIED = _PACKAGE / "_tree"


def source_tree() -> Path:
    """The folder that holds `firmware/` and `boards/`."""
    return _CARRIED if _CARRIED.is_dir() else _CHECKOUT


def cache_folder() -> Path:
    """A folder for what can be made again: fetched and compiled files. It may not exist yet."""
    if source_tree() == _CHECKOUT:
        return _CHECKOUT / "build"
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "thermo"
