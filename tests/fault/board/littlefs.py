"""LittleFS 2 on a device in RAM whose power goes within any byte. For MicroPython."""

from doubles.ram_device import RamDevice
from vfs import VfsLfs2


class TornDevice(RamDevice):
    """The power goes once `cut_at` bytes are programmed; an erase counts as one."""

    def writeblocks(self, number, buffer, offset=0):
        if self.dead:
            return -5
        size = len(buffer)
        left = max(0, self.cut_at - self.count) if self.cut_at else size
        self.count += size
        start = number * 512 + offset
        size = min(size, left)
        self.data[start : start + size] = buffer[:size]
        return -5 if size < len(buffer) else 0


class LittleFlash:
    """The file system on `device`, as `system.store` and boot.py use it; paths begin at `root`."""

    def __init__(self, device, root=""):
        self._vfs = VfsLfs2(device)
        self._at = len(root)

    def open(self, path, mode="rb"):
        return self._vfs.open(path[self._at :], mode)

    def stat(self, path):
        return self._vfs.stat(path[self._at :])

    def rename(self, old, new):
        self._vfs.rename(old[self._at :], new[self._at :])

    def remove(self, path):
        self._vfs.remove(path[self._at :])

    def listdir(self, path):
        return [entry[0] for entry in self._vfs.ilistdir(path or "/")]

    def mkdir(self, path):
        self._vfs.mkdir(path)

    def sync(self):
        pass

    def write(self, name, content):
        with self._vfs.open(name, "wb") as file:
            file.write(content)

    def content(self, name):
        try:
            with self._vfs.open(name, "rb") as file:
                return file.read()
        except OSError:
            return None


def formatted(root="", prepare=None):
    """The content of a device on which `prepare(flash)` has been at work."""
    device = TornDevice()
    VfsLfs2.mkfs(device)
    if prepare:
        prepare(LittleFlash(device, root))
    return device.data
