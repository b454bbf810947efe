import asyncio

from doubles.clock import FakeClock
from doubles.log import FakeLog
from doubles.watchdog import FakeWatchdog
from system.clock import Clock
from system.supervision import Supervisor


class House:
    """A supervisor on fake clock, log and watchdog, and what it gave up."""

    def __init__(self, ticks=0):
        self.clock = FakeClock(ticks=ticks)
        self.log = FakeLog()
        self.watchdog = FakeWatchdog(self.clock)
        self.given_up = []
        self.starts = []
        self.index = None
        self.supervisor = Supervisor(
            self.clock, self.log, self.watchdog, lambda name, traceback: self.given_up.append(name)
        )

    def add(self, body, name="control", limit_ms=3000):
        async def start():
            self.starts.append(self.clock.uptime_s())
            await body(len(self.starts))

        self.index = self.supervisor.add(name, start, limit_ms)
        return self.supervisor.tasks[self.index]

    async def live(self, number):
        while True:
            self.supervisor.alive(self.index)
            await self.clock.sleep_ms(1000)

    def run(self, ms, step_ms=100):
        async def main():
            running = asyncio.create_task(self.supervisor.run())
            await self.clock.run_for(ms, step_ms)
            running.cancel()
            try:
                await running
            except asyncio.CancelledError:
                pass

        asyncio.run(main())


def test_healthy_tasks_are_started_once_and_the_watchdog_is_fed():
    for ticks in (0, (1 << 30) - 30000):
        house = House(ticks)
        house.add(house.live)
        house.run(60000)
        assert house.starts == [0]
        assert house.watchdog.fed >= 100
        assert not house.watchdog.has_bitten()
        assert not house.log.records


def test_a_task_that_raises_is_back_within_five_seconds_with_its_traceback_kept():
    house = House()

    async def body(number):
        if number == 1:
            raise ValueError("sensor gone mad")
        await house.live(number)

    task = house.add(body)
    house.run(6000)
    assert len(house.starts) == 2 and house.starts[1] - house.starts[0] <= 5
    assert task.falls == 1
    assert "ValueError" in task.traceback and "sensor gone mad" in task.traceback
    assert house.log.has("error", "sensor gone mad")
    assert "\n" not in house.log.records[0][1]
    assert not house.given_up


def test_a_task_that_returns_has_fallen_too():
    house = House()

    async def body(number):
        if number > 1:
            await house.live(number)

    task = house.add(body)
    house.run(6000)
    assert len(house.starts) == 2 and task.traceback == "it returned"


def test_a_long_traceback_is_cut_to_its_end():
    house = House()

    async def body(number):
        raise ValueError("y" * 5000 + "end")

    task = house.add(body)
    house.run(1000)
    assert len(task.traceback) == 600 and task.traceback.endswith("end")


def test_three_falls_in_ten_minutes_give_up_and_starve_the_watchdog():
    house = House()

    async def body(number):
        raise OSError(5)

    house.add(body, "network")
    house.run(5000)
    assert house.given_up == ["network"]
    assert house.supervisor.given_up
    house = House()
    house.add(body)
    house.run(15000)
    assert house.watchdog.has_bitten()


def test_three_falls_in_more_than_ten_minutes_do_not():
    house = House()

    async def body(number):
        for _ in range(301):
            house.supervisor.alive(house.index)
            await house.clock.sleep_ms(1000)
        raise OSError(5)

    task = house.add(body)
    house.run(1900000, 1000)
    assert task.falls >= 5
    assert not house.given_up and not house.watchdog.has_bitten()


def test_one_task_that_falls_does_not_disturb_another():
    house = House()

    async def fall(number):
        raise RuntimeError("again")

    house.add(fall, "network")
    other = House()
    other.clock, other.supervisor = house.clock, house.supervisor
    other.add(other.live, "control")
    house.run(3000)
    assert other.starts == [0] and len(house.starts) == 2


def test_a_task_that_hangs_starves_the_watchdog_and_is_named_once():
    house = House()

    async def body(number):
        await house.clock.sleep_ms(10000000)

    house.add(body, "network", 3000)
    house.run(20000)
    assert house.watchdog.has_bitten()
    assert [text for _, text in house.log.records] == ["network hangs: no sign for 3000 ms"]
    assert house.starts == [0]


def test_each_task_has_its_own_limit():
    house = House()

    async def slow(number):
        while True:
            house.supervisor.alive(house.index)
            await house.clock.sleep_ms(20000)

    house.add(slow, "telemetry", 21000)
    house.run(90000)
    assert not house.watchdog.has_bitten() and not house.log.records


def test_waiting_for_a_restart_does_not_starve_the_watchdog():
    house = House()

    async def body(number):
        if number == 1:
            raise ValueError()
        await house.live(number)

    house.add(body, "control", 1300)
    house.run(30000)
    assert not house.watchdog.has_bitten() and not house.log.has("error", "hangs")


def test_no_memory_for_the_traceback_still_means_a_restart():
    house = House()

    def no_memory(message, *values):
        raise MemoryError()

    async def body(number):
        if number == 1:
            raise MemoryError("heap")
        await house.live(number)

    house.log.error = no_memory
    task = house.add(body)
    house.run(6000)
    assert len(house.starts) == 2
    assert task.falls == 1 and task.traceback == "no memory for the traceback"


def test_cancelling_it_cancels_its_tasks_which_clean_up():
    house = House()
    cleaned = []

    async def body(number):
        try:
            await house.live(number)
        finally:
            cleaned.append(number)

    house.add(body)

    async def main():
        running = asyncio.create_task(house.supervisor.run())
        await house.clock.run_for(3000)
        running.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert cleaned == [1]

    asyncio.run(main())


def test_five_tasks_that_fall_at_two_hundred_points_are_all_back():
    # Falls further apart than ten minutes / 3; every one of them must be followed by a start
    house = House()
    indexes = []
    starts = [0] * 5

    def make(which):
        async def start():
            starts[which] += 1
            for _ in range(210 + 7 * which):
                house.supervisor.alive(indexes[which])
                await house.clock.sleep_ms(1500)
            raise ValueError("task %d" % which)

        return start

    for which in range(5):
        indexes.append(house.supervisor.add("task%d" % which, make(which), 4000))
    house.run(3600000 * 4, 1500)
    assert not house.given_up and not house.watchdog.has_bitten()
    for which in range(5):
        task = house.supervisor.tasks[which]
        assert starts[which] == task.falls + (1 if task.running else 0)
        assert house.supervisor.tasks[which].falls >= 30


def test_it_runs_on_the_real_clock():
    clock = Clock()
    watchdog = FakeWatchdog(clock)
    supervisor = Supervisor(clock, FakeLog(), watchdog, None)
    turns = []

    async def live():
        while True:
            supervisor.alive(0)
            turns.append(clock.ticks_ms())
            await clock.sleep_ms(5)

    async def main():
        supervisor.add("control", live, 1000)
        running = asyncio.create_task(supervisor.run())
        await clock.sleep_ms(60)
        running.cancel()
        try:
            await running
        except asyncio.CancelledError:
            pass

    asyncio.run(main())
    assert len(turns) >= 2 and watchdog.fed >= 1
