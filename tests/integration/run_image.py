"""On MicroPython: mount a file system from a file as a board's port does, and run from it.

    micropython run_image.py FILE PROGRAM_BYTES

Prints one line of JSON: what was found, and that writing works, too.
"""

import binascii
import hashlib
import json
import os
import sys

import vfs

BLOCK_BYTES = 4096


class Flash:
    """A block device as `rp2.Flash` and `esp32.Partition` are, on a file."""

    def __init__(self, path):
        self._file = open(path, "r+b")  # noqa: SIM115 - as long as the flash
        self._size = self._file.seek(0, 2)

    def readblocks(self, number, buffer, offset=0):
        self._file.seek(number * BLOCK_BYTES + offset)
        self._file.readinto(buffer)

    def writeblocks(self, number, buffer, offset=None):
        if offset is None:
            self.ioctl(6, number)
            offset = 0
        self._file.seek(number * BLOCK_BYTES + offset)
        self._file.write(buffer)

    def ioctl(self, operation, argument):
        if operation == 4:
            return self._size // BLOCK_BYTES
        if operation == 5:
            return BLOCK_BYTES
        if operation == 6:
            self._file.seek(argument * BLOCK_BYTES)
            self._file.write(b"\xff" * BLOCK_BYTES)
        return 0


def digest(path):
    found = hashlib.sha256()
    with open(path, "rb") as file:
        found.update(file.read())
    return binascii.hexlify(found.digest()).decode()


def main(path, program_bytes):
    flash = Flash(path)
    vfs.umount("/")
    vfs.mount(vfs.VfsLfs2(flash, progsize=program_bytes), "/")
    with open("/slot") as file:
        marker = file.read()
    with open("/a/files.json") as file:
        listed = json.load(file)
    wrong = [name for name in listed["files"] if digest("/a/" + name) != listed["files"][name]]

    sys.path[:] = ["/a", ".frozen"]
    from iothub import sas
    from pnp import device

    with open("/setpoints.json", "w") as file:
        file.write("{}" * 5000)
    vfs.umount("/")
    vfs.mount(vfs.VfsLfs2(flash, progsize=program_bytes), "/")
    print(
        json.dumps(
            {
                "marker": marker,
                "version": listed["version"],
                "wrong": wrong,
                "root": sorted(os.listdir("/")),
                "written": os.stat("/setpoints.json")[6],
                "modules": [sas.__file__, device.__file__],
                "blocks": os.statvfs("/")[2],
            }
        )
    )


main(sys.argv[1], int(sys.argv[2]))
