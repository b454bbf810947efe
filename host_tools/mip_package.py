"""`firmware/package.json`: what `mpremote mip install` takes into a project that is not ours.

    python -m host_tools.mip_package        writes it anew

The IoT Hub client and Plug and Play, the models and drivers, and of `system` what those two are
usually handed: clock, log, names, dialer, TLS and random numbers. The appliance and its boards
stay out.

Source: MicroPython documentation, "Package management", section "Writing & publishing packages".
"""

from __future__ import annotations

import json
from pathlib import Path

from host_tools.tree import source_tree

FILE = "package.json"
_FOLDERS = ("iothub", "pnp", "drivers", "models", "roots")
_FILES = (
    "system/__init__.py",
    "system/clock.py",
    "system/dialer.py",
    "system/interpreter.py",
    "system/log.py",
    "system/modules.py",
    "system/names.py",
    "system/opening.py",
    "system/tls.py",
)


def build_package(firmware: Path) -> dict[str, object]:
    """The package's description; every address in it is relative to the file itself."""
    inside = [path for folder in _FOLDERS for path in sorted((firmware / folder).iterdir())]
    names = [path.relative_to(firmware).as_posix() for path in inside if path.is_file()]
    return {
        "urls": [[name, name] for name in sorted((*names, *_FILES))],
        "deps": [["umqtt.simple", "latest"]],
        "version": "0.1.0",
    }


def main() -> None:
    firmware = source_tree() / "firmware"
    text = json.dumps(build_package(firmware), indent=2)
    (firmware / FILE).write_text(text + "\n")


if __name__ == "__main__":
    main()
