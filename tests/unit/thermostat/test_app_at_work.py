"""The app with all its tasks on virtual time: what they do, how it restarts, and how it leaves."""

import asyncio
import builtins
import json
import os
import sys

import thermostat.app
from doubles import folders
from doubles.dps_script import REGISTRATION, SCOPE, DpsBench
from doubles.hub_script import Bench as Connection
from doubles.small_board import SmallBoard
from system import log
from system.store import Store
from thermostat import farewell, provisioning
from thermostat.app import App
from thermostat.settings import checked, defaults

FOLDER = "build/tests/app-%d" % int.from_bytes(os.urandom(3), "big")
ASSIGNED = FOLDER + "/assigned.json"
OF_SERVICE = {
    "scope": SCOPE,
    "registration": REGISTRATION,
    "host": "hub.example.net",
    "device": "stove-1",
}
MINUTE_MS = 60_000


class Room:
    """Keeps what is asked of it; a measurement takes `conversion_ms`, or fails at once."""

    conversion_ms = 10

    def __init__(self, told, is_broken=False):
        self.told = told
        self.is_broken = is_broken
        self.begun = self.finished = 0
        self.ticks_ms = []
        self.is_on = True

    def begin(self):
        self.begun += 1
        return -1 if self.is_broken else self.conversion_ms

    def finish(self):
        self.finished += 1

    def regulate(self, dt_ms):
        self.ticks_ms.append(dt_ms)
        self.is_on = True

    def switch_off(self):
        self.is_on = False
        self.told.append("off")


class SetPoints:
    def __init__(self, told):
        self.told = told
        self.polls = 0

    def poll(self):
        self.polls += 1

    def flush(self):
        self.told.append("flush")


class Timekeeper:
    """Needs so many polls."""

    def __init__(self, needed):
        self.needed = needed
        self.polls = 0

    def poll(self):
        self.polls += 1
        return self.polls == self.needed


class Cloud:
    """A session with a scripted hub, and how often it was tended; its own device, told nothing."""

    accepted_count = rejected_count = 0

    def __init__(self, session):
        self.device = self
        self.session = session
        self.tended = 0

    def tend(self):
        self.tended += 1


class House:
    """An App on a board, its rooms, and whom it is connected to: "hub", "service" or nobody."""

    def __init__(self, to="", rooms=2, settings=None):
        self.told = []  # in its order: relays off, set points flushed, reset
        self.stats = []
        self.lines = []
        self.ups = 0
        self.board = SmallBoard(FOLDER)
        self.clock = self.board.made_clock
        self.app = app = App(self.board, self.clock, settings or defaults())
        self.rooms = app.rooms = [Room(self.told) for _ in range(rooms)]
        app.set_points = SetPoints(self.told)
        app.on_up = self._come_up
        if to == "hub":
            self.connection = Connection(clock=self.clock)
            self.hub = self.connection.hub
            app.cloud = Cloud(self.connection.session)
        if to == "service":
            self.service = DpsBench(clock=self.clock)
            app.provisioning = self.service.provisioning

    def _come_up(self):
        self.ups += 1

    def _print(self, *words, **named):
        if named:  # how CPython builds the text of a traceback
            self._before[0](*words, **named)
        elif words[0].startswith("stats "):
            self.stats.append(json.loads(words[0][6:]))

    def __enter__(self):
        """The console is the test's, and waiting without asyncio takes virtual time."""
        self._before = builtins.print, log.sink, farewell.time
        builtins.print, log.sink, farewell.time = self._print, self.lines.append, self
        sys.modules["thermostat.farewell"] = farewell  # each use lets it go
        return self

    def __exit__(self, kind, error, traceback):
        builtins.print, log.sink, farewell.time = self._before

    def sleep_ms(self, ms):
        assert "off" in self.told, "somebody is waited for, and the relays may be on"
        self.clock.advance(ms)

    def run(self, ms, step_ms=100, during=None):
        """Run the app for so long, or to the reset; `during` is called after half of it."""

        async def main():
            running = asyncio.create_task(self.app.run())
            await self._pass(ms // 2, step_ms)
            if during is not None:
                during()
            await self._pass(ms - ms // 2, step_ms)
            running.cancel()
            try:
                await running
            except asyncio.CancelledError:
                pass
            for _ in range(10):
                await asyncio.sleep(0)

        with self:
            asyncio.run(main())
        return self

    async def _pass(self, ms, step_ms):
        while ms > 0 and not self.board.resets:
            await self.clock.run_for(step_ms, step_ms)
            ms -= step_ms

    def state_told(self, index):
        """(heap, uptime in s, state of the connection) in that line of statistics."""
        line = self.stats[index]
        return line["heap"], line["uptime_s"], line["state"]

    def tells(self, text):
        return any(text in line for line in self.lines)


def test_all_tasks_are_at_work_and_the_watchdog_is_fed():
    house = House("hub")
    keepers = []

    def new_timekeeper():
        keepers.append(Timekeeper(10))
        return keepers[-1]

    house.app.new_timekeeper = new_timekeeper
    house.run(MINUTE_MS)
    for room in house.rooms:
        # A decision each second, a measurement each two seconds
        assert 55 <= len(room.ticks_ms) <= 61
        assert sum(room.ticks_ms) > 58_000
        assert 25 <= room.begun <= 31
        assert room.begun - room.finished <= 1
    assert 50 <= house.app.cloud.tended <= 61
    assert [keeper.polls for keeper in keepers] == [10]  # then not before the next day
    assert 50 <= house.app.set_points.polls <= 61
    assert not house.board.dog.has_bitten()
    assert len(house.hub.connects) == 1
    assert [task.falls for task in house.app.supervisor.tasks] == [0] * 4
    assert house.ups == 1
    # One line about it all at the start, the next in an hour
    assert len(house.stats) == 1
    assert house.state_told(0) == (4096, 0, "offline")


def test_with_the_slowest_and_the_fastest_settings_it_comes_up():
    slowest = {"sample_period_ms": 10000, "tick_ms": 5000, "bad_readings": 1}
    fastest = {"sample_period_ms": 200, "tick_ms": 100}
    for control, limit_ms in ((slowest, 12502), (fastest, 2702)):
        limits = {"control_limit_ms": limit_ms, "watchdog_timeout_ms": 2000}
        house = House(settings=checked({"version": 1, "control": control, "supervision": limits}))
        for room in house.rooms:
            room.conversion_ms = 751
        house.run(MINUTE_MS)
        assert house.ups == 1, control
        assert not house.board.dog.has_bitten()


def test_without_a_network_the_rooms_are_looked_after_all_the_same():
    house = House().run(MINUTE_MS)
    assert [task.name for task in house.app.supervisor.tasks] == ["control", "sampling", "upkeep"]
    assert len(house.rooms[0].ticks_ms) >= 55
    assert not house.board.dog.has_bitten()
    assert house.stats == [{"heap": 4096, "uptime_s": 0}]


def test_a_sensor_that_fails_keeps_no_other_from_being_read():
    house = House()
    house.rooms[0].is_broken = True
    house.run(MINUTE_MS)
    assert house.rooms[0].begun == house.rooms[1].begun
    assert (house.rooms[0].finished, house.rooms[1].finished > 25) == (0, True)


def test_nobody_regulates_a_room_whose_control_has_fallen():
    house = House()

    def fall(dt_ms):
        raise ValueError("a bug")

    def check():
        house.rooms[1].regulate = fall

    house.run(5000, during=check)
    assert house.app.supervisor.tasks[0].falls >= 1
    assert not house.rooms[0].is_on and not house.rooms[1].is_on


def test_three_falls_are_noted_and_reset_the_board_with_its_relays_off():
    house = House()

    def fall(dt_ms):
        raise ValueError("a bug")

    house.rooms[1].regulate = fall
    house.run(MINUTE_MS)
    assert house.board.resets == 1
    assert not house.rooms[0].is_on
    assert "flush" in house.told
    with open(FOLDER + "/crash.txt") as file:
        assert "crash, control: ValueError" in file.read()


def test_what_the_service_assigns_is_kept_and_the_board_restarted_for_it():
    house = House("service").run(MINUTE_MS)
    assert Store(ASSIGNED).load()["host"] == "hub.example.net"
    assert house.service.log.has("info", "restarting, for the hub that was assigned")
    assert house.board.resets == 1
    # The rooms were regulated meanwhile, and their relays go off before the board restarts
    assert house.rooms[0].ticks_ms
    assert house.told[:3] == ["off", "off", "flush"]


def test_a_flash_that_does_not_take_the_assignment_costs_no_reset_and_no_heat():
    house = House("service")
    folders.empty(FOLDER)
    os.rmdir(FOLDER)
    ticks = []

    def repair():
        ticks.append(len(house.rooms[0].ticks_ms))
        assert house.board.resets == 0
        assert house.app.supervisor.tasks[3].falls == 0
        assert not house.board.dog.has_bitten()
        folders.make(FOLDER)

    house.run(20 * MINUTE_MS, step_ms=1000, during=repair)
    assert ticks[0] > 250
    assert house.board.resets == 1
    assert Store(ASSIGNED).load() == OF_SERVICE
    lines = [line for line in house.service.log.records if "cannot be kept" in line[1]]
    assert len(lines) == 1


def _refused(doubt_from_s, minutes=10, kept=OF_SERVICE, prepare=None):
    house = House("hub")
    Store(ASSIGNED).save(kept)
    if prepare is not None:
        prepare()
    house.app.doubt_from_s = doubt_from_s
    house.hub.connack = 5
    house.run(minutes * MINUTE_MS, step_ms=4000)
    return house


def test_a_hub_that_keeps_refusing_what_it_was_assigned_makes_the_board_ask_anew():
    """Three refusals lie minutes apart, so that a hub that is out of order is no reason."""
    house = _refused(0)
    assert house.app.cloud.session.refusals == 3
    assert house.tells("the hub refuses this device: asking the provisioning service again")
    assert house.board.resets == 1
    assert Store(ASSIGNED).load()["refused"]


def test_a_hub_that_refuses_a_connection_string_is_tried_on():
    house = _refused(None)
    assert house.app.cloud.session.refusals >= 3
    assert house.board.resets == 0
    assert Store(ASSIGNED).load() == OF_SERVICE


def test_a_hub_that_refuses_and_is_assigned_again_does_not_cost_a_reset_each_time():
    """Each start is three minutes without heat."""
    _refused(0)
    kept = Store(ASSIGNED).load()
    house = House("service")
    Store(ASSIGNED).save(kept)
    assert house.run(MINUTE_MS).board.resets == 1
    kept = Store(ASSIGNED).load()
    house = _refused(provisioning.doubt_from_s(FOLDER), 60, kept)
    assert house.app.cloud.session.refusals > 10
    assert house.board.resets == 0
    assert Store(ASSIGNED).load() == kept


def test_after_a_while_what_was_assigned_again_is_doubted_again():
    house = _refused(20 * 60, 30)
    assert house.board.resets == 1
    assert 1200 <= house.clock.uptime_s() <= 1208


def test_a_doubt_that_cannot_be_kept_is_told_and_costs_no_reset():
    def fill_flash():
        os.mkdir(ASSIGNED + ".new")

    house = _refused(0, 30, prepare=fill_flash)
    os.rmdir(ASSIGNED + ".new")
    assert house.board.resets == 0
    assert len([1 for line in house.lines if "cannot be kept" in line]) == 1


def test_a_restart_lets_the_answer_leave_first():
    for delay_s, least_s in ((0, 2), (1, 2), (20, 21)):
        house = House("hub")
        asked_s = []
        reset = house.board.reset

        def note(house=house, asked_s=asked_s, reset=reset):
            asked_s.append(house.clock.uptime_s())
            reset()

        house.board.reset = note

        def ask(house=house, asked_s=asked_s, delay_s=delay_s):
            asked_s.append(house.clock.uptime_s())
            house.app.restart_after(delay_s)

        house.run(MINUTE_MS, during=ask)
        assert least_s <= asked_s[1] - asked_s[0] <= least_s + 2, asked_s
        assert house.tells("restarting, as asked")
        assert house.board.resets == 1
        assert (house.app.cloud.session.state, house.hub.parted) == ("stopped", 1)


def test_leaving_is_relays_off_then_the_rest_and_the_rest_only_once():
    house = House("hub")
    house.run(5000)
    del house.told[:], house.stats[:]
    with house:
        house.app.leave()
        assert house.told == ["off", "off", "flush"]
        assert house.hub.parted == 1
        assert len(house.stats) == 1
        assert house.state_told(0) == (4096, 5, "stopped")
        for room in house.rooms:
            room.is_on = True
        house.app.leave()
    assert house.told == ["off", "off", "flush", "off", "off"]
    assert not house.rooms[0].is_on
    assert (house.hub.parted, len(house.stats)) == (1, 1)


def test_a_hub_that_answers_nothing_is_not_waited_for_longer_than_three_seconds():
    house = House("hub")
    house.hub.mute = ("puback",)
    house.run(5000, during=lambda: house.connection.send(b"x"))
    before = house.clock.ticks_ms()
    with house:
        house.app.leave()
    assert 3000 <= house.clock.ticks_diff(house.clock.ticks_ms(), before) <= 3020
    assert house.stats[-1]["state"] == "stopping"


def test_without_heap_for_words_the_relays_are_off_and_the_set_points_kept():
    def scarce(*_):
        raise MemoryError

    # To the hub, and of how it fared
    for module, name in ((farewell, "say_farewell"), (thermostat.app, "later")):
        house = House("hub").run(5000)
        del house.told[:]
        real = getattr(module, name)
        setattr(module, name, scarce)
        try:
            with house:
                house.app.leave()
        finally:
            setattr(module, name, real)
        assert house.told == ["off", "off", "flush"]


def test_an_app_without_anything_leaves_too():
    """As where putting it together failed half way."""
    house = House(rooms=0)
    house.app.set_points = None
    with house:
        house.app.leave()
    assert house.told == []
    assert house.stats == [{"heap": 4096, "uptime_s": 0}]
