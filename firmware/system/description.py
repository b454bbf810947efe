"""What a board reports of itself as `deviceInformation`. Needed once, then out of the heap."""

import gc
import os
import sys

from micropython import const

# sys.implementation._mpy's field of the native architecture.
# Source: MicroPython documentation, "MicroPython .mpy files".
_ARCHITECTURES = const(
    (
        "",
        "x86",
        "x64",
        "armv6",
        "armv6m",
        "armv7m",
        "armv7em",
        "armv7emsp",
        "armv7emdp",
        "xtensa",
        "xtensawin",
        "rv32imc",
        "rv64imc",
    )
)


def describe(manufacturer, model, processor_manufacturer, folder):
    """The members of `information()`, see boards/README.md; sizes in KB: the file system that
    `folder` is on, the Python heap."""
    version = ".".join(str(part) for part in sys.implementation.version[:3])
    storage = os.statvfs(folder)
    return {
        "manufacturer": manufacturer,
        "model": model,
        "osName": "MicroPython %s on %s" % (version, sys.platform),
        "processorArchitecture": _architecture(),
        "processorManufacturer": processor_manufacturer,
        "totalStorage": storage[1] * storage[2] // 1024,
        "totalMemory": (gc.mem_free() + gc.mem_alloc()) // 1024,
    }


def _architecture():
    number = getattr(sys.implementation, "_mpy", 0) >> 10 & 0x0F
    return (_ARCHITECTURES[number] if number < len(_ARCHITECTURES) else "") or "unknown"
