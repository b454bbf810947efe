"""What the PC under the unix port is: the board's own data for `deviceInformation`."""

import gc
import os
import sys

from micropython import const

# sys.implementation._mpy's field of the native architecture; further numbers are not PCs.
# Source: MicroPython documentation, "MicroPython .mpy files".
_ARCHITECTURES = const(("", "x86", "x64", "armv6"))


def information(folder):
    """Names of the PC and its interpreter; sizes in KB: the disk under `folder`, the heap."""
    version = ".".join(str(part) for part in sys.implementation.version[:3])
    disk = os.statvfs(folder)
    return {
        "manufacturer": "MicroPython",
        "model": "UNIX, simulated sensors and rooms",
        "osName": "MicroPython %s on %s" % (version, sys.platform),
        "processorArchitecture": _architecture(),
        "processorManufacturer": _processor_manufacturer(),
        "totalStorage": disk[1] * disk[2] // 1024,
        "totalMemory": (gc.mem_free() + gc.mem_alloc()) // 1024,
    }


def _architecture():
    number = getattr(sys.implementation, "_mpy", 0) >> 10 & 0x0F
    return (_ARCHITECTURES[number] if number < len(_ARCHITECTURES) else "") or "unknown"


def _processor_manufacturer():
    try:
        with open("/proc/cpuinfo") as file:
            for _ in range(8):
                line = file.readline()
                if line.startswith("vendor_id"):
                    return line.split(":")[1].strip()
    except OSError:
        pass
    return "unknown"
