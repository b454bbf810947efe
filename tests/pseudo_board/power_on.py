"""What the chip and MicroPython do at power-on, on the unix port: flash, boot.py, main.py, prompt.

    micropython -X heapsize=256k -i power_on.py FLASH BLOCK_BYTES CONTROL [soft-raw]

FLASH is a host file, CONTROL the number of the descriptor on which this tells `hardware.py` what
it cannot see: `began` (a keyboard interrupt is heard from now on), `reset` (machine.reset()), and
at the end `soft N`, N being the limit of the armed watchdog. The host's files lie below /pc. The
prompt is the unix port's own, which has the raw REPL of all ports.
"""

import os
import sys

import vfs


class _Flash:
    """Blocks of a host file as the device of a VfsLfs2."""

    def __init__(self, path, block_bytes):
        self._file = open(path, "r+b", 0)  # noqa: SIM115
        self._block_bytes = block_bytes
        self._blocks = self._file.seek(0, 2) // block_bytes

    def readblocks(self, block, buffer, offset=0):
        self._file.seek(block * self._block_bytes + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block, buffer, offset=0):
        self._file.seek(block * self._block_bytes + offset)
        self._file.write(buffer)

    def ioctl(self, operation, argument):
        if operation == 4:
            return self._blocks
        if operation == 5:
            return self._block_bytes
        return 0  # erased by being written over


class _Machine:
    """The part of the module `machine` that tools ask of every board."""

    def __init__(self, control, armed_ms):
        self._control = control
        self._armed_ms = armed_ms

    def reset(self, word=b"reset\n"):
        import time

        self._control.write(word)
        while True:
            time.sleep(1)

    def soft_reset(self):
        self.reset(b"soft %d\n" % self._armed_ms())

    def unique_id(self):
        return b"pseudo"


def _mount(path, block_bytes):
    host = vfs.VfsPosix("/")
    vfs.mount(host, "/pc")
    vfs.umount("/")
    vfs.mount(vfs.VfsLfs2(_Flash("/pc" + path, block_bytes), progsize=256, readsize=256), "/")
    os.chdir("/")
    sys.path[:] = ["", ".frozen", "/lib"]


def _armed_ms():
    import sys

    watchdog = sys.modules.get("simulated.watchdog")
    armed_ms = getattr(watchdog, "armed_ms", None)
    return armed_ms() if armed_ms else 0


def _prepare():
    flash, block_bytes, control = sys.argv[1:4]
    control = open(int(control), "wb", 0)  # noqa: SIM115
    _mount(flash, int(block_bytes))
    sys.modules["machine"] = _Machine(control, _armed_ms)
    armed_ms = _armed_ms
    sys.atexit(lambda: control.write(b"soft %d\n" % armed_ms()))
    scripts = ("boot.py",) if sys.argv[4:] else ("boot.py", "main.py")
    sys.argv[:] = []
    control.write(b"began\n")
    return scripts


def _run(name, reset_code=75):
    """One script, as boards run it. Returns whether the next one may run."""
    try:
        os.stat(name)
    except OSError:
        return True
    try:
        execfile(name)  # noqa: F821 - MicroPython has it
    except SystemExit as error:
        import machine

        if error.args and error.args[0] == reset_code:
            machine.reset()
        machine.soft_reset()
    except BaseException as error:  # noqa: BLE001 - as at a prompt
        sys.print_exception(error)
        return False
    return True


for _name in _prepare():
    if not _run(_name):
        break
# The prompt is to find nothing that a board's prompt would not have
for _name in [name for name in globals() if name[0] == "_" and name[1] != "_"] + ["os", "vfs"]:
    del globals()[_name]
