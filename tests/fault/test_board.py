"""The board's own faults: flash, power, tasks that fall or hang, software that never starts."""

import asyncio
import json

from doubles.boot_world import ROOT, World
from doubles.clock import FakeClock
from doubles.fs import FakeFlash
from doubles.log import FakeLog
from doubles.watchdog import FakeWatchdog
from fault import on_board
from system import recovery
from system.store import ConfigurationError, Store
from system.supervision import Supervisor
from thermostat.settings import checked

PATH = "/config.json"
# Slot, state and the CRC-32 of both
MARKERS = (b"a good fe6bc3d6\n", b"b good 78ffb178\n", b"a trial 0581343b\n", b"rubbish")


def test_f21_power_cuts(row, full):
    """On LittleFS 2, the power going within each programmed byte and at each erase."""
    found = on_board.run("power_cuts.py", *((1, 20) if full else (7, 3)), timeout=1500)
    row(
        "old or new, whole or none: configuration, set points, slot marker, spilled messages"
        + (", at 60,000 cuts or more" if full else ""),
        f"{found['cuts']} cuts: {found['bad']} mixed or lost",
        found["bad"] == 0 and found["cuts"] >= (60_000 if full else 500),
    )


def test_f20_flash_full(row, full):
    found = on_board.run("flash_full.py", 1 if full else 4, timeout=600)
    row(
        "the old content or the new, no other exception than OSError",
        f"{found['fills']} fillings, {found['refused']} refused: {found['bad']} mixed or lost",
        found["bad"] == 0 < found["refused"] < found["fills"],
    )


def test_f22_bit_rot(row, full):
    """Every bit of a sealed configuration: found, and the copy before it taken."""

    def validate(found):
        checked(found)

    files = FakeFlash()
    store = Store(PATH, files, validate)
    former = {"version": 1, "connectivity": "cable", "wifi": {"ssid": "a"}}
    latest = {"version": 1, "connectivity": "wifi", "wifi": {"ssid": "b", "password": "c" * 9}}
    store.save(former)
    store.save(latest)
    sound = dict(files.files)
    bits = range(0, 8 * len(sound[PATH]), 1 if full else 5)
    unseen = no_start = 0
    for bit in bits:
        rotten = bytearray(sound[PATH])
        rotten[bit // 8] ^= 1 << bit % 8
        files.files = {**sound, PATH: bytes(rotten)}
        try:
            found = store.load()
        except ConfigurationError:
            no_start += 1
            continue
        unseen += found != former or store.problem is None
    row(
        "all found and told, and every start has the former configuration",
        f"{len(bits)} bits: {unseen} not found, {no_start} without a configuration",
        unseen == no_start == 0,
    )


class Appliance:
    """Five tasks under the true supervisor; the first holds a relay."""

    NAMES = ("control", "sampling", "upkeep", "network", "console")

    def __init__(self, at, fault, when_ms):
        self.clock = FakeClock()
        self.watchdog = FakeWatchdog(self.clock)
        self.relay = False
        self.relay_while_down = 0
        self.starts = [0] * len(self.NAMES)
        self.given_up = False
        self._fault = (at, fault, when_ms)
        self.supervisor = Supervisor(self.clock, FakeLog(), self.watchdog, self._give_up)
        for index, name in enumerate(self.NAMES):
            self.supervisor.add(name, lambda index=index: self._task(index), 3000)

    def _give_up(self, name, traceback):
        self.given_up = True

    async def _task(self, index):
        self.starts[index] += 1
        at, fault, when_ms = self._fault
        due_ms = when_ms if index == at and (self.starts[at] == 1 or fault == "again") else None
        lived_ms = 0
        try:
            while True:
                if index == 0:
                    self.relay = True
                self.supervisor.alive(index)
                if due_ms is not None and lived_ms >= due_ms:
                    await self._misbehave(fault)
                await self.clock.sleep_ms(500)
                lived_ms += 500
        finally:
            if index == 0:
                self.relay = False

    async def _misbehave(self, fault):
        if fault == "hangs":
            await asyncio.Event().wait()
        if fault == "starves":
            await self.clock.sleep_ms(20_000)
        raise MemoryError if fault == "memory" else ValueError("of a test")

    def live(self, seconds):
        async def main():
            running = asyncio.create_task(self.supervisor.run())
            for _ in range(seconds * 4):
                await self.clock.run_for(250, 250)
                self.watchdog.has_bitten()
                self.relay_while_down += self.relay and not self.supervisor.tasks[0].running
                if self.given_up or self.watchdog.has_bitten():
                    break
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        asyncio.run(main())
        return self


def test_f24_tasks_that_fall_or_hang(row, chance, full):
    points = 200 if full else 12
    wrong = []
    for at, name in enumerate(Appliance.NAMES):
        for _ in range(points):
            fault = chance.choice(("raises", "memory", "again", "hangs", "starves"))
            house = Appliance(at, fault, chance.below(20_000)).live(
                60 if fault != "again" else 120
            )
            if fault in ("hangs", "starves"):
                held = house.watchdog.has_bitten() and not house.given_up
            elif fault == "again":
                held = house.given_up and house.starts[at] == 3
            else:
                held = house.starts[at] == 2 and not house.watchdog.has_bitten()
            if not held or house.relay_while_down:
                wrong.append((name, fault))
    row(
        "raises: restarted; three times: given up; hangs: the watchdog bites; relay off meanwhile",
        f"{points} points in each of {len(Appliance.NAMES)} tasks: {len(wrong)} wrong {wrong[:3]}",
        not wrong,
    )


def test_f25_crash_at_every_start(row, chance, full):
    """Software that dies somewhere between its first import and coming up, start after start."""
    builds = 200 if full else 60
    latest = relays = unsafe = 0
    for _ in range(builds):
        slots = chance.choice(("a", "ab"))
        files = {f"{ROOT}/{slot}/files.json": b"{}" for slot in slots}
        files[f"{ROOT}/slot"] = chance.choice(MARKERS)
        flash = FakeFlash(files)
        # The board of one slot may not even be importable
        broken = {chance.choice(slots): ImportError("of a test")} if slots == "ab" else {}
        starts = 0
        while starts < 8:
            world = World(flash, broken)
            space = world.boot()
            relays += any(world.relays)
            if space["safe"]:
                break
            starts += 1
            space["begin"]()
        unsafe += not space["safe"]
        latest = max(latest, starts)
    row(
        "safe mode after five bad starts at most, relays off at each",
        f"{builds} builds: after {latest} starts, {unsafe} never, {relays} starts with a relay on",
        unsafe == relays == 0 and latest <= 5,
    )


def test_f25_good_starts_are_no_bad_ones(row, chance, full):
    """Good and bad starts in any order: safe mode only after five bad ones in a row."""
    starts = 2000 if full else 300
    flash = FakeFlash({f"{ROOT}/a/files.json": b"{}"})
    bad = wrong = safe = 0
    for _ in range(starts):
        world = World(flash)
        space = world.boot()
        wrong += space["safe"] != (bad >= 5)
        if space["safe"]:
            # The next start is a try
            safe += 1
            bad = 4
            continue
        space["begin"]()
        if chance.below(3) == 0:
            with world.flash_of(recovery):
                recovery.come_up(space["root"], space["slot"], space["good"])
            bad = 0
        else:
            bad += 1
    row(
        "safe mode after five bad starts in a row and never else",
        f"{starts} starts, {safe} in safe mode: {wrong} wrong",
        wrong == 0 < safe,
    )


def test_f22_a_forged_seal_is_no_seal(row, chance, full):
    """Contents swapped under a seal that was right for another."""
    tries = 5000 if full else 500
    files = FakeFlash()
    store = Store(PATH, files, lambda found: checked(found))
    store.save({"version": 1, "connectivity": "cable"})
    former = json.loads(files.files[PATH])
    store.save({"version": 1, "connectivity": "wifi"})
    sound = dict(files.files)
    del former["seal"]
    taken = 0
    for _ in range(tries):
        text = sound[PATH].replace(b"wifi", bytes(chance.choices(b"abcdefghij", k=4)))
        files.files = {**sound, PATH: text}
        taken += store.load() != former
    row("0 taken", f"{tries} tries: {taken} taken", taken == 0)


def test_f23_heap_exhausted(row, chance, full):
    """At packets, calls, patches, reports, messages and a link that ends."""
    count = 1000 if full else 60
    found = on_board.run("exhausted.py", count, chance.below(1 << 30), heap="400k", timeout=600)
    row(
        "network never falls, control takes 0 B, 0 messages lost, 95 % of the heap is free again",
        f"{count} times, {found['links']} links given up: {found['falls']} falls, control failed "
        f"{found['control']} times, {found['lost']} of {found['accepted']} messages lost, "
        f"{found['free_percent']} % free",
        found["falls"] == found["control"] == found["lost"] == 0
        and found["free_percent"] >= 95
        and found["links"] > count // 10,
    )
