"""Telemetry outside of RAM: nothing is lost that fits, the rest is counted, pieces that are cut
short are not used."""

from doubles.fs import FakeFlash, PowerCut
from expect import raises
from iothub.outbox import Outbox
from system.spill import Spill

TOPIC = b"devices/d/messages/events/"
OWNER = b"hub.example.net/d"


class Flash(FakeFlash):
    """Files in one folder, whose names are listed as a file system lists them."""

    def listdir(self, path=""):
        return sorted(name[1:] for name in self.files)


class Client:
    """Takes packets as the exchange does, and remembers what is in them."""

    left = 0

    def __init__(self):
        self.ids = []
        self.bodies = []

    def transmit(self, packet, at, size):
        data = bytes(packet[at : at + size])
        body_at = 4 + len(TOPIC)
        self.ids.append(data[body_at] << 8 | data[body_at + 1])
        self.bodies.append(int(data[body_at + 2 :]))


class Bench:
    def __init__(self, most_bytes=20_000, flash=None, owner=OWNER):
        self.flash = flash or Flash()
        self.outbox = Outbox(4, 256, 4096, 256)
        self.outbox.open_spill = lambda: Spill("", most_bytes, owner, self.flash)
        self.client = Client()
        self.made = 0

    def make(self, count):
        for _ in range(count):
            body = b"%d" % self.made
            assert self.outbox.put_telemetry(TOPIC, b"", body, len(body))
            self.made += 1
            self.check()
        return self

    def deliver(self, limit=10_000):
        """Send and acknowledge until nothing is left."""
        for _ in range(limit):
            self.outbox.send(self.client)
            if not self.client.ids and self.outbox.spill is None:
                return self
            for packet_id in self.client.ids:
                assert self.outbox.acknowledge(packet_id)
            self.client.ids = []
            self.check()
        raise AssertionError("it never ends")

    def check(self):
        outbox, at, waiting = self.outbox, 0, 0
        while at < outbox.telemetry.end:
            at += outbox.telemetry.size(at)
            waiting += 1
        counted = outbox.telemetry.acked + outbox.dropped + outbox.spilled + waiting
        assert outbox.accepted == counted, (outbox.accepted, counted)


def test_what_fits_comes_back_whole():
    bench = Bench().make(400)
    assert bench.outbox.spilled > 200
    assert bench.flash.files
    bench.deliver()
    assert sorted(bench.client.bodies) == list(range(400))
    assert bench.outbox.dropped == 0
    assert bench.outbox.spill is None
    assert not bench.flash.files


def test_nothing_is_written_while_ram_has_room():
    bench = Bench().make(60).deliver()
    assert bench.flash.operations == 0


def test_writes_are_few():
    bench = Bench(1_000_000).make(2000)
    assert bench.flash.writes < 2 * 2000 // 60


def test_what_does_not_fit_is_counted_and_is_the_oldest():
    bench = Bench(most_bytes=8000).make(1000)
    assert sum(len(content) for content in bench.flash.files.values()) <= 8100
    bench.deliver()
    assert bench.outbox.dropped > 0
    assert len(bench.client.bodies) + bench.outbox.dropped == 1000
    assert sorted(bench.client.bodies) == list(range(bench.outbox.dropped, 1000))


def test_outages_one_after_the_other():
    bench = Bench()
    for size in (10, 300, 5, 200, 350, 1):
        bench.make(size)
        if size in (10, 5, 350):
            bench.deliver()
    bench.deliver()
    assert sorted(bench.client.bodies) == list(range(bench.made))


def test_the_next_outage_while_a_piece_is_out():
    """What was taken in and not sent goes out again, and still comes once."""
    bench = Bench().make(300)
    for _ in range(5):
        bench.outbox.send(bench.client)
        for packet_id in bench.client.ids:
            bench.outbox.acknowledge(packet_id)
        bench.client.ids = []
    bench.outbox.reset()
    bench.make(200).deliver()
    assert sorted(bench.client.bodies) == list(range(500))


def test_a_restart_takes_over_what_is_there():
    first = Bench().make(400)
    second = Bench(flash=first.flash)
    second.outbox.recover()
    assert second.outbox.accepted == first.outbox.spilled
    second.check()
    second.deliver()
    assert sorted(second.client.bodies) == list(range(first.outbox.spilled))
    assert not first.flash.files


def test_a_piece_that_is_damaged_is_counted_as_lost():
    bench = Bench().make(400)
    name = sorted(bench.flash.files)[0]
    content = bytearray(bench.flash.files[name])
    content[100] ^= 1
    bench.flash.files[name] = bytes(content)
    spilled = bench.outbox.spilled
    bench.deliver()
    assert 0 < bench.outbox.dropped < spilled
    assert len(bench.client.bodies) + bench.outbox.dropped == 400


def test_what_is_damaged_at_a_start_is_taken_away():
    flash = Flash({"/spill-1": b"short", "/spill-2": b"x" * 500, "/spill-x": b"", "/other": b"1"})
    spill = Spill("", 10_000, OWNER, flash)
    assert spill.waiting == 0
    assert "/spill-2" not in flash.files and "/other" in flash.files
    assert spill.take(bytearray(4096)) == (0, 0)


def test_what_another_device_left_is_taken_away_and_never_sent():
    """Of another id or another hub: its topic would end the link, or it is not that hub's."""
    for owner in (b"hub.example.net/e", b"hub2.example.net/d"):
        first = Bench(owner=owner).make(400)
        second = Bench(flash=first.flash)
        second.outbox.recover()
        assert second.outbox.accepted == second.outbox.spilled == 0
        assert not first.flash.files
        second.make(300).deliver()
        assert sorted(second.client.bodies) == list(range(300))


def test_a_full_flash_costs_the_oldest_messages_and_no_more():
    bench = Bench()
    bench.flash.plan(1, "full")
    bench.make(300)
    assert bench.outbox.spilled == 0 and bench.outbox.dropped > 0
    operations = bench.flash.operations
    bench.make(100)
    assert bench.flash.operations == operations  # it is not tried for each message
    bench.deliver()
    assert len(bench.client.bodies) + bench.outbox.dropped == 400


def test_a_power_cut_at_any_operation_loses_what_was_in_ram_alone():
    for torn in ("old", "none", "half", "all"):
        for number in range(1, 40):
            bench = Bench()
            bench.flash.plan(number, "power", torn)
            try:
                bench.make(400).deliver()
            except PowerCut:
                pass
            bench.flash.power_on()
            after = Bench(flash=bench.flash)
            after.outbox.recover()
            after.check()
            after.deliver()
            assert len(set(after.client.bodies)) == len(after.client.bodies)
            assert after.outbox.dropped == 0


def test_old_messages_that_went_for_new_ones_that_then_find_no_room_are_counted_with_them():
    flash = Flash()
    spill = Spill("", 2000, OWNER, flash)
    assert spill.put(bytes(900), 9) == 0
    assert spill.put(bytes(900), 8) == 0
    flash.plan(2, "full")  # 1 takes the oldest away
    assert spill.put(bytes(900), 7) == 9 + 7
    assert spill.waiting == 8
    flash.power_on()
    assert spill.take(bytearray(900)) == (8, 900)


def test_a_write_that_takes_only_a_part_is_a_full_flash():
    class Short(Flash):
        def open(self, path, mode="rb"):
            file = FakeFlash.open(self, path, mode)
            if "w" in mode:
                write = file.write
                file.write = lambda data: write(data[:100])
            return file

    flash = Short()
    spill = Spill("", 2000, OWNER, flash)
    with raises(OSError):
        spill.put(bytes(900), 9)
    assert spill.waiting == 0
    assert not flash.files
    assert spill.put(bytes(100), 1) == 0
    assert spill.take(bytearray(900)) == (1, 100)


def test_a_piece_larger_than_the_buffer_is_counted_as_lost():
    """The settings may be smaller after a restart."""
    flash = Flash()
    Spill("", 2000, OWNER, flash).put(bytes(900), 9)
    spill = Spill("", 2000, OWNER, flash)
    assert spill.take(bytearray(899)) == (9, 0)
    assert spill.take(bytearray(899)) == (0, 0)
    assert not flash.files


def test_a_piece_that_somebody_took_away_is_counted_as_lost():
    flash = Flash()
    spill = Spill("", 2000, OWNER, flash)
    spill.put(bytes(900), 9)
    spill.put(bytes(800), 8)
    flash.files.pop(min(flash.files))
    assert spill.take(bytearray(900)) == (9, 0)
    assert spill.take(bytearray(900)) == (8, 800)
    assert spill.waiting == 0
