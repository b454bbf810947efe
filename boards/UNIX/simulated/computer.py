"""What the PC under the unix port is: the board's own data for `deviceInformation`."""

from system.description import describe


def information(folder):
    """Names of the PC and its interpreter; sizes in KB: the disk under `folder`, the heap."""
    model = "UNIX, simulated sensors and rooms"
    return describe("MicroPython", model, _processor_manufacturer(), folder)


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
