"""Runs on MicroPython: power_cuts.py STRIDE CONTENTS. Each STRIDE-th byte of every writing."""

import json
import sys

from doubles.boot_world import ROOT, World
from doubles.clock import FakeClock
from doubles.log import FakeLog
from iothub.outbox import Outbox
from littlefs import LittleFlash, TornDevice, formatted
from system import recovery
from system.spill import Spill
from system.store import Store
from thermostat.kept import restore
from thermostat.setpoints import SetPoints

STRIDE, CONTENTS = int(sys.argv[1]), int(sys.argv[2])
MARKERS = (
    b"a good fe6bc3d6\n",
    b"b good 78ffb178\n",
    b"a trial 0581343b\n",
    b"b trial 34692ea6\n",
)


def known(found):
    pass


def cut_everywhere(image, root, work, is_sound):
    """(cuts, bad ones): `work(flash)` on a copy of `image`, the power going at 1, 2, 3, ..."""
    cuts = bad = 0
    at = 1
    while True:
        device = TornDevice(data=bytearray(image))
        flash = LittleFlash(device, root)
        device.count, device.cut_at = 0, at
        try:
            work(flash)
            is_done = True
        except OSError:
            is_done = False
        device.dead = True
        after = LittleFlash(TornDevice(data=bytearray(device.data)), root)
        if not is_sound(after, is_done):
            bad += 1
            print("bad", at)
        if device.count < at:
            return cuts, bad
        cuts += 1
        at += STRIDE


def content_of(size, letter):
    return {"version": 1, "name": letter * size}


def store_on(flash):
    return Store("/config.json", flash, known)


def configuration(number):
    old, new = content_of(100 + 83 * number % 1500, "o"), content_of(60 + 131 * number % 1500, "n")
    image = formatted(prepare=lambda flash: store_on(flash).save(old))
    work = lambda flash: store_on(flash).save(new)  # noqa: E731
    yield (
        image,
        "",
        work,
        lambda flash, is_done: store_on(flash).load() in ((new,) if is_done else (old, new)),
    )
    yield (
        formatted(),
        "",
        work,
        lambda flash, is_done: store_on(flash).load() in ((new,) if is_done else (None, new)),
    )


def set_points_on(flash):
    points = SetPoints("/setpoints.json", FakeClock(), FakeLog(), flash)
    restore(points, ["one", "two"])
    return points


def set_points(number):
    old = {"one": 500 + number, "two": 2100}
    new = {"one": 4000 - 7 * number, "two": 2150}

    def save(targets):
        def work(flash):
            kept = set_points_on(flash)
            for name in targets:
                kept.set(name, targets[name])
            if not kept.flush():
                raise OSError("not kept")

        return work

    yield (
        formatted(prepare=save(old)),
        "",
        save(new),
        lambda flash, is_done: set_points_on(flash).targets in ((new,) if is_done else (old, new)),
    )


def start(number):
    """A start that comes up: the marker and the count of starts."""
    marker, boots = MARKERS[number % 4], b"%d" % (number % 5)

    def prepare(flash):
        for slot in ("a", "b"):
            flash.mkdir("/" + slot)
            flash.write("/" + slot + "/files.json", b"{}")
        flash.write("/slot", marker)
        flash.write("/boots", boots)

    held = []

    def live(flash):
        world = World(flash)

        def rename(old, new):
            flash.rename(old, new)
            held.append((flash.content("/slot"), flash.content("/boots")))

        world.rename = rename
        space = world.boot()
        if not space["safe"]:
            space["begin"]()
            with world.flash_of(recovery):
                recovery.come_up(space["root"], space["slot"], space["good"])

    image = formatted(ROOT, prepare)
    held.append((marker, boots))
    live(LittleFlash(TornDevice(data=bytearray(image)), ROOT))
    allowed = tuple(held)

    def is_sound(flash, is_done):
        state = (flash.content("/slot"), flash.content("/boots"))
        return state in allowed and World(flash).boot()["slot"] in ("a", "b")

    yield image, ROOT, live, is_sound


def filled(flash, count):
    """An outbox with that many messages in it, the older of them on `flash`."""
    outbox = Outbox(4, 256, 4096, 256)
    outbox.open_spill = lambda: Spill("", 4000, b"hub/device", flash)
    for message in range(count):
        outbox.put_telemetry(b"topic", b"", b"%05d" % message, 5)
    return outbox


def spilled(number):
    """What went to flash: each message whole, in order, and no more than there were."""
    count = 250 + 40 * number % 200

    def is_sound(flash, is_done):
        outbox = Outbox(4, 256, 4096, 256)
        outbox.open_spill = lambda: Spill("", 4000, b"hub/device", flash)
        outbox.recover()
        spill, buffer = outbox.spill, bytearray(4096)
        found = 0
        waiting = spill.waiting
        while True:
            messages, size = spill.take(buffer)
            if not messages:
                return found == waiting
            # Type, length, topic's length, topic, id, five digits: 16 bytes each
            for at in range(0, size, 16):
                if not 0 <= int(buffer[at + 11 : at + 16]) < count:
                    return False
                found += 1

    yield formatted(), "", lambda flash: filled(flash, count), is_sound


cuts = bad = 0
for number in range(CONTENTS):
    for scenes in (configuration, set_points, start, spilled):
        for scene in scenes(number):
            one, wrong = cut_everywhere(*scene)
            cuts += one
            bad += wrong
print("result " + json.dumps({"cuts": cuts, "bad": bad}))
