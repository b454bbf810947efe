"""boot.py on the file system that boards have, LittleFS 2, whose power goes at every program and
erase, and which is full. MicroPython only: CPython has none.
"""

from doubles.boot_world import ROOT, World
from doubles.ram_device import BLOCK_BYTES, RamDevice
from system import recovery
from vfs import VfsLfs2

MARKERS = (
    b"a good fe6bc3d6\n",
    b"b good 78ffb178\n",
    b"a trial 0581343b\n",
    b"b trial 34692ea6\n",
    b"rubbish",
)


class LittleFlash:
    """The file system on `device` at ROOT."""

    def __init__(self, device):
        self._vfs = VfsLfs2(device)

    def open(self, path, mode="rb"):
        return self._vfs.open(path[len(ROOT) :], mode)

    def stat(self, path):
        return self._vfs.stat(path[len(ROOT) :])

    def rename(self, old, new):
        self._vfs.rename(old[len(ROOT) :], new[len(ROOT) :])

    def content(self, name):
        try:
            with self.open(ROOT + name) as file:
                return file.read()
        except OSError:
            return None

    def write(self, name, content):
        with self.open(ROOT + name, "wb") as file:
            file.write(content)


def formatted(marker, boots):
    device = RamDevice()
    VfsLfs2.mkfs(device)
    flash = LittleFlash(device)
    for slot in ("a", "b"):
        flash._vfs.mkdir("/" + slot)
        flash.write("/%s/files.json" % slot, b"{}")
    flash.write("/slot", marker)
    flash.write("/boots", boots)
    return device


def live(flash):
    """A start that comes up. Returns all that the two files held in its course, and the slot."""
    held = [(flash.content("/slot"), flash.content("/boots"))]

    def note(old, new):
        LittleFlash.rename(flash, old, new)
        held.append((flash.content("/slot"), flash.content("/boots")))

    world = World(flash)
    world.rename = note
    space = world.boot()
    if not space["safe"]:
        space["begin"]()
        with world.flash_of(recovery):
            recovery.come_up(space["root"], space["slot"], space["good"])
    return held, space["slot"]


def test_a_power_cut_at_any_block_write_leaves_old_or_new():
    cuts = 0
    for marker in MARKERS:
        for boots in (b"0", b"1", b"2", b"4", b"5", b""):
            image = formatted(marker, boots).data
            allowed, _ = live(LittleFlash(RamDevice(data=bytearray(image))))
            for torn in (0, 3, 5, 7, 9, 10):
                cuts += cut_everywhere(image, torn, allowed)
    print("%d power cuts" % cuts)
    assert cuts > 1800, cuts


def cut_everywhere(image, torn, allowed):
    for number in range(1, 500):
        device = RamDevice(data=bytearray(image))
        flash = LittleFlash(device)
        device.count = 0
        device.cut_at, device.torn = number, torn
        try:
            live(flash)
        except OSError:
            pass  # what the test itself reads of a dead device
        device.dead = True
        after = LittleFlash(RamDevice(data=bytearray(device.data)))
        assert (after.content("/slot"), after.content("/boots")) in allowed, (torn, number)
        assert World(after).boot()["slot"] in ("a", "b")
        if device.count < number:
            return number - 1
    raise AssertionError("it never stops writing")


def test_a_full_flash_starts_all_the_same():
    for marker in MARKERS:
        flash = LittleFlash(formatted(marker, b"2"))
        try:
            with flash.open(ROOT + "/ballast", "wb") as file:
                while True:
                    file.write(b"x" * BLOCK_BYTES)
        except OSError:
            pass
        _, slot = live(flash)
        for _ in range(50):
            assert live(flash)[1] == slot
