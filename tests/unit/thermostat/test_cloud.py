from doubles.clock import FakeClock
from thermostat.cloud import Cloud, Schedule, ZoneReporter
from thermostat.settings import Settings


class Room:
    temperature_centi_c = None


class Component:
    """Takes temperatures, unless it is full."""

    def __init__(self):
        self.sent = []
        self.read = []
        self.is_full = False

    def on_reading(self, centi_c):
        self.read.append(centi_c)

    def send(self, centi_c):
        if not self.is_full:
            self.sent.append(centi_c)
        return not self.is_full


class Queue:
    acked = 6


class Outbox:
    accepted, dropped, telemetry = 9, 1, Queue()


class Exchange:
    commands, messages = 4, 5


class Session:
    outbox, exchange, state, connects = Outbox(), Exchange(), "online", 4


class Device:
    accepted_count = 7
    rejected_count = 8


class Board:
    def heap_in_use(self):
        return 4096


def make():
    clock, room, component = FakeClock(), Room(), Component()
    return clock, room, component, ZoneReporter(room, component, clock, Settings().telemetry)


def test_a_room_without_a_temperature_says_nothing():
    _, _, component, reporter = make()
    reporter.tend()
    assert not component.read
    assert not component.sent


def test_a_temperature_is_sent_at_once_and_then_each_minute():
    clock, room, component, reporter = make()
    room.temperature_centi_c = 2000
    for _ in range(61):
        reporter.tend()
        clock.advance(1000)
    assert component.sent == [2000, 2000]
    assert len(component.read) == 61


def test_what_the_session_did_not_take_is_offered_again():
    clock, room, component, reporter = make()
    room.temperature_centi_c = 2000
    component.is_full = True
    reporter.tend()
    component.is_full = False
    clock.advance(1000)
    reporter.tend()
    assert component.sent == [2000]


def test_the_heap_in_use_is_sent_every_ten_minutes():
    clock = FakeClock()
    root = Component()
    cloud = Cloud(Device(), Session(), [], root, Board(), clock, Settings().telemetry)
    for _ in range(1201):
        cloud.tend()
        clock.advance(1000)
    assert root.sent == [4096, 4096, 4096]


def test_the_counters_keep_their_meaning():
    cloud = Cloud(Device(), Session(), [], Component(), Board(), FakeClock(), Settings().telemetry)
    found = {}
    cloud.statistics(found)
    assert found == {
        "state": "online",
        "telemetry_sent": 9,
        "telemetry_acked": 6,
        "telemetry_dropped": 1,
        "telemetry_waiting": 2,
        "desired_acked": 7,
        "desired_rejected": 8,
        "commands_answered": 4,
        "c2d_completed": 5,
        "reconnects": 3,
    }


def make_schedule():
    clock = FakeClock()
    return clock, Schedule(clock, 60_000, 20, 10_000)


def test_the_first_value_is_due_at_once():
    _, schedule = make_schedule()
    assert schedule.is_due(2100)


def test_an_unmoved_value_is_due_after_the_period():
    clock, schedule = make_schedule()
    schedule.note_sent(2100)
    clock.advance(59_999)
    assert not schedule.is_due(2100)
    clock.advance(1)
    assert schedule.is_due(2100)


def test_a_moved_value_is_due_sooner_but_not_at_once():
    clock, schedule = make_schedule()
    schedule.note_sent(2100)
    clock.advance(9_999)
    assert not schedule.is_due(2120)
    clock.advance(1)
    assert schedule.is_due(2120)
    assert schedule.is_due(2080)
    assert not schedule.is_due(2119)


def test_the_wrap_of_ticks_changes_nothing():
    clock, schedule = make_schedule()
    clock.advance((1 << 30) - 5_000 - clock.ticks_ms())
    schedule.note_sent(2100)
    clock.advance(10_000)
    assert not schedule.is_due(2100)
    assert schedule.is_due(2120)
    clock.advance(50_000)
    assert schedule.is_due(2100)


def test_without_a_delta_time_alone_counts():
    clock = FakeClock()
    schedule = Schedule(clock, 60_000, 0, 0)
    schedule.note_sent(1)
    clock.advance(59_999)
    assert not schedule.is_due(1)
    assert not schedule.is_due(99)
    clock.advance(1)
    assert schedule.is_due(1)
