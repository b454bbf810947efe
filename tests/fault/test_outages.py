"""Days without a hub, ids that wrap, ticks that wrap: every message is accounted for."""

from doubles.clock import FakeClock
from doubles.fs import FakeFlash
from doubles.hub_script import Bench, FakeHub
from doubles.settings import Settings
from system.spill import Spill

MESSAGES = 8640
PERIOD_MS = 10_000
TICKS_PERIOD = 1 << 30


class Outage:
    """One of four kinds, for so many seconds: refused, deaf, cut in a packet, TLS refused."""

    def __init__(self, bench, chance, seconds):
        self.left_s = seconds
        self._dialer = bench.dialer
        kind = chance.below(4)
        if kind != 2:
            bench.dialer.refuse = "TLS: certificate verify failed" if kind == 3 else "EHOSTUNREACH"
        if bench.dialer.links:
            link = bench.dialer.links[-1]
            if kind == 1:
                link.is_deaf = True
            else:
                link.cut_after = link.traffic + chance.below(300)

    def pass_by(self, seconds):
        self.left_s -= seconds
        if self.left_s <= 0:
            self._dialer.refuse = ""


class Flash(FakeFlash):
    """Files in one folder, whose names are listed as a file system lists them."""

    def listdir(self, path=""):
        return sorted(name[1:] for name in self.files)


def scripted_day(chance, longest_s, settings, spill_bytes=0):
    """A message every ten seconds for a day; returns the bench once the hub was back for long."""
    bench = Bench(settings=settings, random_below=chance.below).lasting()
    flash = Flash()
    if spill_bytes:
        bench.outbox.open_spill = lambda: Spill("", spill_bytes, b"hub/device", flash)
    outage = None
    unequal = 0
    for number in range(MESSAGES):
        if outage is None and chance.below(200) == 0:
            outage = Outage(bench, chance, 1 + chance.below(longest_s))
        bench.send(b"%d" % number)
        bench.run(PERIOD_MS)
        if outage is not None:
            outage.pass_by(PERIOD_MS // 1000)
            if outage.left_s <= 0:
                outage = None
        outbox = bench.outbox
        counted = outbox.telemetry.acked + outbox.dropped + outbox.spilled + bench.waiting()
        unequal += outbox.accepted != counted
        bench.hub.forget()
        bench.handler.twins.clear()
        bench.log.records.clear()
    bench.dialer.refuse = ""
    bench.run(900_000)
    bench.writes = flash.writes
    return bench, unequal


def test_f13_outages_that_fit(row, chance, full):
    days = 30 if full else 2
    settings = Settings()
    # A backlog of an hour, and what the slow retry after a refused certificate adds to it
    settings.telemetry_bytes = 96 * 1024
    lost = dropped = failures = 0
    for _ in range(days):
        bench, _ = scripted_day(chance, 3600, settings)
        lost += MESSAGES - len(bench.hub.numbers)
        dropped += bench.outbox.dropped
        failures += bench.session.failures
    row(
        f"0 lost of {MESSAGES} in each day, outages up to an hour",
        f"{days} days, {failures} failed links: {lost} lost, {dropped} dropped",
        lost == dropped == 0 and failures > days,
    )


def test_f13_outages_that_do_not_fit(row, chance, full):
    days = 30 if full else 2
    differences = unequal = dropped = 0
    for _ in range(days):
        bench, one_unequal = scripted_day(chance, 7200, Settings())
        differences += abs(MESSAGES - len(bench.hub.numbers) - bench.outbox.dropped)
        unequal += one_unequal
        dropped += bench.outbox.dropped
    row(
        f"delivered + counted as dropped = {MESSAGES} exactly, each day, and at every step",
        f"{days} days, {dropped} dropped: {differences} not accounted for, {unequal} steps uneven",
        differences == unequal == 0 and dropped > 0,
    )


def test_f13_outages_that_fit_flash(row, chance, full):
    """Two hours at most, the usual RAM, and so many bytes of flash as they need."""
    days = 30 if full else 2
    lost = dropped = unequal = writes = 0
    for _ in range(days):
        bench, one_unequal = scripted_day(chance, 7200, Settings(), 256 * 1024)
        lost += MESSAGES - len(bench.hub.numbers)
        dropped += bench.outbox.dropped
        unequal += one_unequal
        writes = max(writes, bench.writes)
    row(
        f"0 lost of {MESSAGES} in each day, outages up to two hours, RAM for ten minutes",
        f"{days} days: {lost} lost, {dropped} dropped, {unequal} steps uneven, "
        f"at most {writes} writes a day",
        lost == dropped == unequal == 0 < writes < MESSAGES // 10,
    )


def test_f13_outages_that_fit_nothing(row, chance, full):
    days = 30 if full else 2
    differences = unequal = dropped = 0
    for _ in range(days):
        bench, one_unequal = scripted_day(chance, 14_400, Settings(), 32 * 1024)
        differences += abs(MESSAGES - len(bench.hub.numbers) - bench.outbox.dropped)
        unequal += one_unequal
        dropped += bench.outbox.dropped
    row(
        f"with 32 KB of flash: delivered + counted as dropped = {MESSAGES} exactly, each day",
        f"{days} days, {dropped} dropped: {differences} not accounted for, {unequal} steps uneven",
        differences == unequal == 0 < dropped,
    )


class SlowHub(FakeHub):
    """Acknowledges in any order, as late as the window lets it; knows which ids are out."""

    def __init__(self, chance, window):
        FakeHub.__init__(self)
        self.chance = chance
        self.window = window
        self.unacknowledged = []
        self.wraps = 0
        self.taken = 0
        self.last_id = 0

    def say(self, data, answer=""):
        if answer != "puback":
            FakeHub.say(self, data, answer)
            return
        packet_id = data[2] << 8 | data[3]
        assert packet_id not in self.unacknowledged, f"id {packet_id} is out twice"
        self.wraps += packet_id < self.last_id
        self.last_id = packet_id
        self.taken += 1
        self.unacknowledged.append(packet_id)
        if len(self.unacknowledged) == self.window:
            self.release()

    def release(self):
        while self.unacknowledged:
            at = self.chance.below(len(self.unacknowledged))
            packet_id = self.unacknowledged.pop(at)
            self.link.feed(bytes([0x40, 2, packet_id >> 8, packet_id & 255]))


def test_f11_ids_wrap(row, chance, full):
    wanted = 200_000 if full else 70_000
    bench = Bench()
    bench.hub = bench.dialer.peer = SlowHub(chance, bench.settings.window)
    bench.lasting().until("online")
    for number in range(wanted):
        bench.send(b"%d" % number)
        if number % bench.settings.window == bench.settings.window - 1:
            bench.session.step()
            if number % 4000 == 3999:
                bench.run(1000)
    bench.run(30_000)
    hub = bench.hub
    row(
        f"{wanted} publishes: all acknowledged, no id 0, none out twice",
        f"{bench.outbox.telemetry.acked} acknowledged, {hub.wraps} wraps, "
        f"{bench.session.failures} failed links",
        bench.outbox.telemetry.acked == hub.taken == wanted
        and hub.wraps == wanted // 65535
        and not bench.session.failures,
    )


def test_f10_ticks_wrap_at_any_moment(row, chance, full):
    phases = 1000 if full else 60
    stuck = lost = 0
    latest_ms = 0
    for _ in range(phases):
        clock = FakeClock(ticks=TICKS_PERIOD - 1 - chance.below(400_000))
        bench = Bench(clock=clock, random_below=chance.below).lasting()
        fault = chance.below(4)
        at = chance.below(40)
        for number in range(45):
            if number == at and bench.hub.link is not None:
                if fault == 1:
                    bench.hub.link.cut_after = bench.hub.link.traffic + chance.below(200)
                elif fault == 2:
                    bench.hub.link.is_deaf = True
                elif fault == 3:
                    bench.hub.mute = ("puback", "pong")
            bench.send(b"%d" % number)
            bench.run(PERIOD_MS)
            if fault == 3 and bench.session.failures:
                bench.hub.mute = ()
        bench.hub.mute = ()
        away_ms = 0
        while (bench.session.state != "online" or bench.waiting()) and away_ms < 500_000:
            bench.run(1000)
            away_ms += 1000
        latest_ms = max(latest_ms, away_ms)
        stuck += away_ms >= 500_000
        lost += 45 - len(bench.hub.numbers)
    row(
        "0 stuck, 0 lost, whatever is going on when they wrap",
        f"{phases} phases: {stuck} stuck, {lost} lost, back after {latest_ms} ms at most",
        stuck == lost == 0,
    )


def test_f10_fifteen_days_through_a_wrap(row, full):
    days = 15 if full else 1
    clock = FakeClock(ticks=TICKS_PERIOD - 6 * 3600 * 1000)
    bench = Bench(clock=clock).lasting().until("online")
    began_s = clock.uptime_s()
    for number in range(days * 1440):
        bench.send(b"%d" % number)
        bench.run(60_000)
        clock.uptime_s()
        bench.hub.forget()
        bench.handler.twins.clear()
        bench.log.records.clear()
    elapsed_s = clock.uptime_s() - began_s
    lost = days * 1440 - len(bench.hub.numbers)
    row(
        "uptime right to the second, 0 lost, 0 links lost",
        f"{days} days: off by {abs(elapsed_s - days * 86400)} s, {lost} lost, "
        f"{bench.session.failures} failed links",
        abs(elapsed_s - days * 86400) <= 1 and lost == 0 and not bench.session.failures,
    )
