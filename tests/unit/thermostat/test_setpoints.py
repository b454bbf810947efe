from doubles.clock import FakeClock
from doubles.fs import FakeFlash, PowerCut
from doubles.log import FakeLog
from thermostat import setpoints
from thermostat.kept import restore
from thermostat.setpoints import SetPoints

PATH = "setpoints.json"
NAMES = ("thermostat1", "thermostat2")


class Board:
    def __init__(self, ticks=0):
        self.flash = FakeFlash()
        self.clock = FakeClock(ticks=ticks)
        self.log = FakeLog()

    def start(self):
        points = SetPoints(PATH, self.clock, self.log, self.flash)
        restore(points, NAMES)
        return points


def test_without_a_file_the_defaults_hold():
    board = Board()
    points = board.start()
    assert points.get("thermostat1", 2100) == 2100
    assert not board.log.records


def test_a_set_point_survives_a_restart():
    board = Board()
    points = board.start()
    points.set("thermostat1", 2250)
    assert points.get("thermostat1", 2100) == 2250
    points.poll()
    again = board.start()
    assert again.get("thermostat1", 2100) == 2250
    assert again.get("thermostat2", 2100) == 2100


def test_flash_is_written_at_most_every_ten_seconds():
    for ticks in (0, 999, (1 << 30) - 4321):
        board = Board(ticks)
        points = board.start()
        board.clock.advance(950)
        times = []
        elapsed_ms = 0
        for number in range(1000):
            points.set("thermostat1", 1000 + number)
            before = board.flash.writes
            points.poll()
            if board.flash.writes != before:
                times.append(elapsed_ms)
            board.clock.advance(130)
            elapsed_ms += 130
        gaps = [times[at] - times[at - 1] for at in range(1, len(times))]
        assert times[0] == 0 and len(times) >= 11
        assert min(gaps) >= 10000
        assert points.flush()
        assert board.start().get("thermostat1", 0) == 1999


def test_flash_is_written_on_change_only():
    board = Board()
    points = board.start()
    points.set("thermostat1", 2250)
    points.flush()
    writes = board.flash.writes
    for _ in range(100):
        points.set("thermostat1", 2250)
        board.clock.advance(20000)
        reads = board.flash.reads
        points.poll()
        assert board.flash.reads == reads
    # There and back again within the ten seconds is no change either
    points.set("thermostat1", 2300)
    points.set("thermostat1", 2250)
    points.flush()
    assert board.flash.writes == writes


def test_a_full_flash_loses_nothing_and_is_tried_again():
    board = Board()
    points = board.start()
    board.flash.plan(1, "full")
    points.set("thermostat1", 2250)
    assert not points.flush()
    assert points.get("thermostat1", 2100) == 2250
    assert board.log.has("warning", "not kept")
    for _ in range(50):
        points.poll()
    assert len(board.log.records) == 1
    board.flash.power_on()
    board.clock.advance(11000)
    points.poll()
    assert board.start().get("thermostat1", 2100) == 2250


def test_without_heap_for_what_writes_it_is_tried_again():
    board = Board()
    points = board.start()
    points.set("thermostat1", 2250)
    real, setpoints.later = setpoints.later, scarce
    try:
        assert not points.flush()
    finally:
        setpoints.later = real
    assert board.log.has("warning", "not kept")
    assert points.flush()
    assert board.start().get("thermostat1", 2100) == 2250


def scarce(*_):
    raise MemoryError


def test_a_power_cut_leaves_the_old_or_the_new_set_point():
    for number in range(1, 8):
        board = Board()
        points = board.start()
        points.set("thermostat1", 2250)
        points.flush()
        board.flash.plan(number)
        points.set("thermostat1", 1800)
        try:
            points.flush()
        except PowerCut:
            pass
        board.flash.power_on()
        assert board.start().get("thermostat1", 2100) in (2250, 1800)


def test_a_bad_file_costs_the_set_points_and_not_the_start():
    for text in (
        b"{",
        b"[]",
        b'{"version":2,"targets":{}}',
        b'{"version":1}',
        b'{"version":1,"targets":[]}',
        b'{"version":1,"targets":{"thermostat1":"2250"}}',
        b'{"version":1,"targets":{"thermostat1":1e999}}',
        b'{"version":1,"targets":{"thermostat1":-1}}',
        b'{"version":1,"targets":{"thermostat1":6001}}',
        b'{"version":1,"targets":{},"more":1}',
    ):
        board = Board()
        board.flash.files[PATH] = text
        points = board.start()
        assert points.get("thermostat1", 2100) == 2100
        assert board.log.has("warning", PATH)
        points.set("thermostat1", 2250)
        assert points.flush()
        assert board.start().get("thermostat1", 2100) == 2250


def test_zones_that_are_gone_are_dropped():
    board = Board()
    board.flash.files[PATH] = b'{"version":1,"targets":{"thermostat1":2250,"cellar":1200}}'
    points = board.start()
    assert points.get("thermostat1", 0) == 2250
    assert points.get("cellar", 0) == 0
