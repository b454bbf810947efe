from array import array

from doubles.clock import FakeClock
from doubles.rooms import Chance
from thermostat.history import History
from thermostat.report import summary

NOW = 1795239300

# How long a reading holds
HOLD_S = 30


class Logger:
    """Feeds a history, and keeps an account of its own: from when to when which reading held."""

    def __init__(self, ticks=0):
        self.clock = FakeClock(unix_s=NOW, ticks=ticks)
        self.history = History(self.clock)
        self.now = 0
        self.starts = array("i")
        self.ends = array("i")
        self.temperatures = array("i")
        self.holding = False

    def wait(self, seconds):
        self.now += seconds
        self.clock.advance(seconds * 1000)
        if self.holding:
            self.ends[-1] = min(self.now, self.starts[-1] + HOLD_S)

    def add(self, temperature):
        self.history.add(temperature)
        self.starts.append(self.now)
        self.ends.append(self.now)
        self.temperatures.append(temperature)
        self.holding = True

    def check(self, since_ago_s):
        """(start, answer): the answer agrees with all that was seen from its own start on."""
        now = self.clock.unix_time()
        answer = summary(self.history, now - since_ago_s, now)
        start = self.now - (now - answer[3])
        highest, lowest, weighted, seconds = -(1 << 20), 1 << 20, 0, 0
        for at, begin in enumerate(self.starts):
            end = self.ends[at]
            if end > start or begin >= start:
                highest = max(highest, self.temperatures[at])
                lowest = min(lowest, self.temperatures[at])
                held = max(0, end - max(begin, start))
                weighted += self.temperatures[at] * held
                seconds += held
        assert answer[:2] == (highest, lowest), (since_ago_s, answer)
        if seconds:
            assert abs(answer[2] - weighted / seconds) <= 0.5, (since_ago_s, answer)
        assert answer[4] == now
        return start, answer


def test_without_a_reading_nothing_is_known():
    logger = Logger()
    assert summary(logger.history, 0, NOW) is None
    assert summary(logger.history, NOW, NOW) is None


def test_the_first_reading_is_an_answer_at_once():
    logger = Logger()
    logger.wait(5)
    logger.add(2150)
    assert summary(logger.history, NOW - 100, NOW + 5) == (2150, 2150, 2150, NOW + 5, NOW + 5)


def test_the_mean_is_weighted_by_time_and_not_by_readings():
    logger = Logger()
    for temperature, seconds in ((2000, 1), (2000, 1), (2000, 1), (3000, 27), (2400, 30)):
        logger.add(temperature)
        logger.wait(seconds)
    answer = summary(logger.history, NOW, NOW + 60)
    assert answer == (3000, 2000, (3 * 2000 + 27 * 3000 + 30 * 2400 + 30) // 60, NOW, NOW + 60)


def test_below_zero_and_rounding():
    logger = Logger()
    logger.add(-1000)
    logger.wait(3)
    logger.add(-1001)
    logger.wait(1)
    assert summary(logger.history, NOW, NOW + 4) == (-1000, -1001, -1000, NOW, NOW + 4)


def test_since_is_kept_between_the_oldest_and_now():
    logger = Logger()
    logger.wait(40)
    for number in range(20):
        logger.add(2000 + number)
        logger.wait(5)
    now = NOW + 140
    for since in (0, NOW - 10**9, NOW + 39, NOW + 40):
        assert summary(logger.history, since, now)[3] == NOW + 40
    for since in (now, now + 1, now + 10**9):
        assert summary(logger.history, since, now) == (2019, 2019, 2019, now, now)


def test_a_question_is_rounded_down_to_a_bucket_and_says_so():
    logger = Logger()
    for number in range(100):
        logger.add(2000 + number)
        logger.wait(6)
    start, answer = logger.check(307)
    assert start == 290 and answer[3] == NOW + 290


def test_a_reading_holds_no_longer_than_control_trusts_it():
    logger = Logger()
    logger.add(2000)
    logger.wait(600)
    logger.add(3000)
    logger.wait(30)
    assert summary(logger.history, NOW, NOW + 630)[:3] == (3000, 2000, 2500)
    logger.wait(60)
    assert summary(logger.history, NOW, NOW + 690)[:3] == (3000, 2000, 2500)
    # Nothing was read in the last minute
    assert summary(logger.history, NOW + 660, NOW + 690) is None
    assert summary(logger.history, NOW + 690, NOW + 690) is None


def test_an_extreme_that_only_held_into_the_time_asked_for_counts():
    logger = Logger()
    logger.add(4000)
    logger.wait(25)
    logger.add(2000)
    logger.wait(5)
    assert summary(logger.history, NOW + 20, NOW + 30)[:3] == (4000, 2000, 3000)


def test_the_wall_clock_may_jump():
    logger = Logger()
    for number in range(60):
        logger.add(2000 + number)
        logger.wait(10)
        logger.clock.jump((-3600, 86400, -86400)[number % 3])
    now = logger.clock.unix_time()
    answer = summary(logger.history, now - 100, now)
    assert answer == (2059, 2050, 2055, now - 100, now)


def test_a_week_of_irregular_readings_is_remembered_truly():
    chance = Chance(11)
    logger = Logger(ticks=(1 << 30) - 86400000)
    temperature = 2000
    for number in range(16000):
        if chance.one_in(300):
            logger.wait(chance.below(4000))
        temperature += chance.below(41) - 20
        logger.add(temperature)
        logger.wait(chance.below(70))
        if number % 1600 == 1599:
            for ago, resolution in (
                (600, 10),
                (890, 10),
                (1000, 120),
                (10500, 120),
                (99999, 3600),
            ):
                start, _ = logger.check(ago)
                assert 0 <= max(0, logger.now - ago) - start < resolution
            start, _ = logger.check(10**7)
            remembered = logger.now - start
            assert remembered <= 168 * 3600
            assert remembered > 167 * 3600 or start == 0
    assert logger.now > 7.5 * 86400


def test_absurd_numbers_do_not_break_it():
    logger = Logger()
    logger.history.add(1 << 40)
    logger.wait(3600)
    logger.history.add(-(1 << 40))
    for _ in range(30):
        logger.wait(86400)
        logger.clock.uptime_s()
    logger.history.add(2000)
    assert summary(logger.history, 0, NOW + logger.now)[:3] == (2000, 2000, 2000)
