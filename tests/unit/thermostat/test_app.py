"""When the app counts as up, and what it leaves when it gives up."""

import asyncio

from doubles import folders
from doubles.clock import FakeClock
from expect import raises
from thermostat.app import App

FOLDER = "build/tests"


class Reset(Exception):
    pass


class Board:
    data_path = FOLDER

    def reset(self):
        raise Reset()

    def heap_in_use(self):
        return 0


class Limits:
    up_after_s = 10


class Settings:
    control = telemetry = None
    supervision = Limits


class Task:
    def __init__(self, name):
        self.name = name
        self.falls = 0
        self.traceback = "Traceback:\n  File %s.py, line 1\nValueError: secret" % name


class Supervisor:
    def __init__(self):
        self.tasks = [Task("control"), Task("sampling"), Task("upkeep")]
        self.is_alive = True

    def all_alive(self):
        return self.is_alive


def app_on(clock):
    app = App(Board(), clock, Settings)
    app.supervisor = Supervisor()
    return app


def seconds_until_up(happen):
    """`happen(app, second)` each second, before it is looked at."""
    clock = FakeClock()
    app = app_on(clock)
    for second in range(60):
        happen(app, second)
        if app._is_up():
            return second
        clock.advance(1000)
    return None


def test_it_is_up_ten_seconds_after_control_began_to_tick():
    def tick_from(second):
        def happen(app, now):
            app._has_ticked = now >= second

        return happen

    assert seconds_until_up(tick_from(0)) == 10
    assert seconds_until_up(tick_from(7)) == 16
    assert seconds_until_up(tick_from(60)) is None


def test_a_fall_or_a_late_task_begins_the_ten_seconds_anew():
    def fall(app, second):
        app._has_ticked = True
        app.supervisor.tasks[1].falls = 1 if second >= 5 else 0

    def late(app, second):
        app._has_ticked = True
        app.supervisor.is_alive = second != 9

    def fall_for_ever(app, second):
        app._has_ticked = True
        app.supervisor.tasks[2].falls = second // 8

    assert seconds_until_up(fall) == 15
    assert seconds_until_up(late) == 19
    assert seconds_until_up(fall_for_ever) is None


def test_control_says_itself_that_it_ticked():
    class Control:
        tick_ms = 5

    class Busy(Supervisor):
        def alive(self, index):
            self.is_alive = index

    class Clock(FakeClock):
        async def sleep_ms(self, duration_ms):
            self.advance(duration_ms)
            if app._has_ticked:
                raise KeyboardInterrupt
            await asyncio.sleep(0)

    app = app_on(Clock())
    app._control = Control
    app.supervisor = Busy()
    assert not app._has_ticked
    with raises(KeyboardInterrupt):
        asyncio.run(app._regulate())
    assert app._has_ticked


def test_giving_up_is_noted_before_the_reset():
    folders.make(FOLDER)
    app = app_on(FakeClock())
    with raises(Reset):
        app._give_up("sampling", app.supervisor.tasks[1].traceback)
    with open(FOLDER + "/crash.txt") as file:
        text = file.read()
    assert text.endswith("crash, sampling: ValueError\n  File sampling.py, line 1\n"), text
    assert "secret" not in text


class Scarce:
    """Whatever is asked of it: the first time there is no heap for it."""

    def __init__(self, app, result):
        self.app = app
        self.result = result
        self.asked = 0
        self.missed = 0
        self.state = "online"

    def ask(self, *_):
        self.asked += 1
        if self.asked == 1:
            raise MemoryError
        return self.result

    begin = tend = poll = ask

    def finish(self):
        raise KeyboardInterrupt  # far enough

    def miss(self):
        self.missed += 1


class Turns(FakeClock):
    """A clock whose sleeps are over at once; an app that never ends is ended."""

    most = 20

    async def sleep_ms(self, duration_ms):
        self.advance(duration_ms)
        self.most -= 1
        if not self.most:
            raise KeyboardInterrupt


class Alive(Supervisor):
    def alive(self, index):
        self.is_alive = True


class Pace:
    sample_period_ms = 1000
    stats_period_s = 3600


def scarce_app():
    app = app_on(Turns())
    app.supervisor = Alive()
    app._control = app._pace = Pace
    return app


def test_a_measurement_without_heap_counts_as_missed_and_the_next_is_made():
    app = scarce_app()
    room = Scarce(app, 10)
    app.rooms = [room]
    with raises(KeyboardInterrupt):
        asyncio.run(app._sample())
    assert (room.asked, room.missed) == (2, 1)


def test_upkeep_without_heap_is_done_the_next_time():
    app = scarce_app()
    cloud = app.cloud = Scarce(app, None)
    cloud.session = cloud
    app.print_statistics = lambda: None
    app.set_points = Scarce(app, None)
    app._has_ticked = True
    came_up = Scarce(app, None)
    app.on_up = came_up.ask
    with raises(KeyboardInterrupt):
        asyncio.run(app._keep_up())
    # Each failed once, which held up what comes after it; coming up is over once it succeeded
    assert cloud.asked == 20
    assert app.set_points.asked == 19
    assert came_up.asked == 2
    assert app.on_up is None
