"""Cuts, deafness, renewals and months of them: nothing accepted is lost or counted twice."""

from doubles.clock import FakeClock
from doubles.fs import FakeFlash
from doubles.hub_script import DEVICE, HOST, Bench
from doubles.settings import Settings
from system.spill import Spill


class Lcg:
    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 1103515245 + 12345) & 0x7FFFFFFF
        return (self.state >> 4) % n


def _session(cut_after, chunk=0):
    """A whole session - connect, twin, report, telemetry, command - cut after so many bytes."""

    def prepare(link):
        link.chunk = chunk
        if len(bench.dialer.links) == 1:
            link.cut_after = cut_after

    bench = Bench(prepare)
    bench.handler.reports = [{"a": 1}]
    bench.run(40)
    for i in range(3):
        bench.send(b"message %d" % i)
        bench.run(30)
    if bench.hub.link is not None:
        bench.hub.call("x", "7", b"1")
        bench.hub.message(b"c2d", "a=1", 9)
    bench.run(30_000)
    return bench


def _length_of_a_session():
    link = _session(-1).dialer.links[0]
    return link.traffic


def test_a_cut_at_every_byte_loses_nothing():
    length = _length_of_a_session()
    assert length > 1000
    for cut in range(length + 1):
        bench = _session(cut, chunk=0 if cut % 2 else 7)
        assert bench.session.state == "online", cut
        assert (bench.outbox.accepted, bench.outbox.telemetry.acked, bench.outbox.dropped) == (
            3,
            3,
            0,
        ), cut
        seen = {}
        for arrived in bench.hub.telemetry:
            if arrived.body in seen:
                # Again: marked, and the same packet
                assert arrived.dup, cut
                assert arrived.packet_id == seen[arrived.body], cut
            seen[arrived.body] = arrived.packet_id
        assert set(seen) == {b"message 0", b"message 1", b"message 2"}, cut
        assert len(bench.hub.telemetry) <= 3 + bench.settings.window, cut
        assert bench.handler.statuses == [204], cut
        assert bench.handler.twins, cut
        for link in bench.dialer.links[:-1]:
            assert link.is_closed, cut


def test_half_open_is_noticed_within_the_keep_alive():
    for silent_at in range(0, 60_000, 7000):
        for sends in (False, True):
            bench = Bench().until("online")
            bench.run(silent_at)
            bench.dialer.links[0].is_deaf = True
            elapsed = 0
            while not bench.session.failures:
                if sends:
                    bench.send(b"x")
                bench.run(1000)
                elapsed += 1000
            assert elapsed <= 90_000, (silent_at, sends, elapsed)
            bench.until("online", 10_000).run(1000)
            assert bench.waiting() == 0


def test_a_peer_that_answers_a_byte_at_a_time_is_served_or_left():
    for gap_ms in (0, 50, 500, 2000):
        bench = Bench()
        _drip(bench, gap_ms)
        bench.run(60_000)
        if gap_ms == 0:
            assert bench.session.state == "online"
        elif gap_ms >= 2000:
            assert bench.session.failures >= 2


def _drip(bench, gap_ms):
    """Each byte from the hub comes `gap_ms` after the one before."""

    def prepare(link):
        read, last = link.read_into, [bench.clock.ticks_ms()]

        def slowly(buffer, offset, size):
            now = bench.clock.ticks_ms()
            if bench.clock.ticks_diff(now, last[0]) < gap_ms:
                return 0
            taken = read(buffer, offset, 1)
            last[0] = now
            return taken

        link.read_into = slowly

    bench.dialer.prepare = prepare


def test_1000_renewals_lose_nothing_and_no_token_runs_out():
    settings = Settings()
    settings.token_life_s = 700
    bench = Bench(settings=settings).lasting().until("online")
    number = 0
    began = bench.clock.unix_time()
    while bench.session.connects <= 1000:
        bench.send(b"%d" % number)
        number += 1
        bench.run(240_000)
        expiry = int(bench.hub.connects[-1][0][2].split("se=")[1])
        left = expiry - bench.clock.unix_time()
        assert 120 <= left <= 700, left
        bench.hub.forget()
        bench.handler.twins.clear()
        bench.log.records.clear()
    assert bench.session.failures == 0
    assert bench.outbox.telemetry.acked == number
    assert len(bench.hub.numbers) == number
    spent = bench.clock.unix_time() - began
    # Whether one is due is looked at every 10 s
    assert 550 <= spent // (bench.session.connects - 1) <= 570


def test_a_renewal_is_short_and_waits_for_what_is_out():
    bench = Bench().until("online")
    bench.hub.mute = ("puback",)
    bench.send(b"out")
    bench.clock.jump(70_000)
    bench.run(12_000)
    assert len(bench.dialer.links) == 1
    bench.hub.mute = ()
    bench.hub.say(bytes([0x40, 2, 0, bench.hub.telemetry[0].packet_id]))
    bench.run(200)
    assert bench.session.state == "online"
    assert len(bench.dialer.links) == 2
    assert bench.hub.parted == 1
    assert bench.outbox.telemetry.acked == 1
    assert len(bench.hub.telemetry) == 1


def test_a_renewal_does_not_wait_for_ever():
    bench = Bench().until("online")
    bench.hub.mute = ("puback",)
    bench.send(b"out")
    bench.clock.jump(70_000)
    bench.run(12_000)
    bench.hub.mute = ()
    bench.run(6000)
    assert bench.session.state == "online"
    assert len(bench.hub.telemetry) == 2
    assert bench.hub.telemetry[1].dup


def test_500_jumps_of_the_wall_clock_leave_no_long_token():
    random = Lcg(3)
    for epoch in (1970, 2000):
        bench = Bench(clock=FakeClock(epoch=epoch, unix_s=1795239300)).lasting().until("online")
        for _ in range(250):
            step_s = 1 + random.below(50_000_000)
            now = bench.clock.unix_time()
            target = now + (step_s if random.below(2) else -step_s)
            # Within what the clock takes for a date
            if 1735689600 < target < 2000000000:
                bench.clock.jump(target - now)
            bench.run(25_000)
            expiry = int(bench.hub.connects[-1][0][2].split("se=")[1])
            left = expiry - bench.clock.unix_time()
            assert 0 < left <= 86_400 + 60, left
            bench.hub.forget()
            bench.handler.twins.clear()
            bench.log.records.clear()
        assert bench.session.failures == 0


def test_ticks_may_wrap_at_any_moment():
    for phase in range(0, 100_000, 1000):
        bench = Bench(clock=FakeClock(ticks=(1 << 30) - phase))
        for i in range(4):
            bench.send(b"%d" % i)
            bench.run(30_000)
        assert bench.session.state == "online"
        assert bench.outbox.telemetry.acked == 4
        assert bench.session.failures == 0


def test_ids_wrap_in_a_session_with_one_held_back():
    bench = Bench().until("online")
    bench.outbox._last_id = 65_530
    for i in range(20):
        bench.send(b"%d" % i)
        bench.run(10)
    ids = [arrived.packet_id for arrived in bench.hub.telemetry]
    assert ids == list(range(65531, 65536)) + list(range(1, 16))
    assert bench.outbox.telemetry.acked == 20


def _virtual_day(seed, longest_s, days=1):
    """A message each 10 s through random outages of all kinds; the bench, all delivered."""
    random = Lcg(seed)
    bench = Bench(random_below=random.below).lasting()
    sent = 0
    outage_s = 0
    for _ in range(8640 * days):
        if outage_s <= 0 and random.below(200) == 0:
            outage_s = 1 + random.below(longest_s)
            kind = random.below(3)
            if kind == 0:
                bench.dialer.refuse = "EHOSTUNREACH"
            if bench.dialer.links:
                link = bench.dialer.links[-1]
                if kind == 1:
                    link.is_deaf = True
                else:
                    link.cut_after = link.traffic + random.below(200)
        elif outage_s > 0:
            outage_s -= 10
            if outage_s <= 0:
                bench.dialer.refuse = ""
        bench.send(b"%d" % sent)
        sent += 1
        bench.run(10_000)
        assert (
            bench.outbox.accepted
            == bench.outbox.telemetry.acked + bench.outbox.dropped + bench.waiting()
        )
        bench.hub.forget()
        bench.handler.twins.clear()
        bench.log.records.clear()
    bench.dialer.refuse = ""
    bench.run(900_000)
    return bench, sent


def test_days_of_outages_are_accounted_for_to_the_message():
    for seed in (1, 2):
        bench, sent = _virtual_day(seed, 7200)
        assert bench.outbox.accepted == sent
        assert bench.waiting() == 0
        distinct = len(bench.hub.numbers)
        assert distinct + bench.outbox.dropped == sent
        assert bench.outbox.telemetry.acked == distinct
        assert bench.session.failures > 10


def test_a_backlog_that_fits_loses_nothing():
    bench, sent = _virtual_day(5, 280)
    assert bench.outbox.dropped == 0
    assert len(bench.hub.numbers) == sent


def test_two_devices_of_one_name_do_not_hammer():
    """Thrown out at once after each connection: the backoff goes on growing."""
    bench = Bench()
    for _ in range(600):
        if bench.session.state == "online":
            bench.hub.link.end()
        bench.run(1000)
    assert bench.session.connects < 20


def test_a_settled_connection_comes_back_at_once():
    bench = Bench(random_below=lambda n: n - 1)
    bench.dialer.refuse = "down"
    bench.run(600_000)
    bench.dialer.refuse = ""
    bench.until("online", 320_000)
    bench.run(40_000)
    bench.hub.link.end()
    bench.run(20)
    assert bench.session.state == "offline"
    bench.until("online", 1500)


class Flash(FakeFlash):
    """Files in one folder, whose names are listed as a file system lists them."""

    def listdir(self, path=""):
        return sorted(name[1:] for name in self.files)


def _backlog(device, flash):
    """A bench whose `device` takes over what is on `flash`, and then has 300 messages."""
    bench, device = Bench(), device.encode()
    owner = b"%s/%s" % (HOST.encode(), device)
    bench.outbox.open_spill = lambda: Spill("", 30_000, owner, flash)
    bench.outbox.recover()
    bench.topic = b"devices/%s/messages/events/" % device
    for number in range(300):
        bench.send(b"%d" % number)
    assert flash.files
    return bench


def test_what_another_device_left_on_flash_does_not_lock_this_one_out():
    flash = Flash()
    _backlog("other", flash)
    bench = _backlog(DEVICE, flash).until("online").run(60_000)
    assert bench.session.failures == 0
    assert (bench.outbox.accepted, bench.outbox.telemetry.acked) == (300, 300)
