"""The store on the file system that boards have, LittleFS 2, over a block device in RAM whose
power goes at every program and erase, and which fills up. MicroPython only: CPython has none.
"""

from doubles.ram_device import BLOCK_BYTES, RamDevice
from system.store import Store
from vfs import VfsLfs2

BLOCKS = 24
OLD = {"version": 1, "name": "o" * 700}
NEW = {"version": 1, "name": "n" * 900}


class LittleFlash:
    def __init__(self, device):
        self._vfs = VfsLfs2(device)
        self.open = self._vfs.open
        self.rename = self._vfs.rename
        self.remove = self._vfs.remove
        self.stat = self._vfs.stat

    def sync(self):
        pass


def known(found):
    pass


def store_on(device):
    return Store("/config.json", LittleFlash(device), known)


def formatted(blocks=BLOCKS, content=OLD):
    device = RamDevice(blocks)
    VfsLfs2.mkfs(device)
    if content:
        assert store_on(device).save(content)
    return device


def cut_everywhere(image, first, allowed):
    """Save NEW over a copy of `image` with the power going at operation 1, 2, 3, …"""
    cuts = 0
    for torn in (0, 5, 10):
        for number in range(1, 500):
            device = RamDevice(data=bytearray(image))
            store = store_on(device)
            device.count = 0
            device.cut_at, device.torn = number, torn
            whole = True
            try:
                store.save(NEW)
            except OSError:
                whole = False
            device.dead = True
            found = store_on(RamDevice(data=bytearray(device.data))).load()
            assert found == NEW if whole else found in allowed, (torn, number, found)
            if device.count < number:
                break
            cuts += 1
    return cuts


def test_a_power_cut_at_any_write_of_a_save_leaves_old_or_new():
    assert cut_everywhere(formatted().data, OLD, (OLD, NEW)) > 30


def test_a_power_cut_at_any_write_of_the_first_save_leaves_nothing_or_new():
    assert cut_everywhere(formatted(content=None).data, None, (None, NEW)) > 30


def test_a_flash_that_fills_up_keeps_the_old_content():
    for blocks in range(8, 24):
        device = formatted(24)
        flash = LittleFlash(device)
        ballast = b"x" * BLOCK_BYTES
        written = 0
        with flash.open("/ballast", "wb") as file:
            while written < 24 - blocks:
                try:
                    file.write(ballast)
                except OSError:
                    break
                written += 1
        failed = False
        try:
            store_on(device).save(NEW)
        except OSError:
            failed = True
        assert store_on(device).load() == (OLD if failed else NEW)
