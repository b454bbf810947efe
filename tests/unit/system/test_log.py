from doubles.clock import FakeClock
from system import log as logging
from system.log import Log

DEBUG, INFO, ERROR, OFF = 10, 20, 40, 50


def configure(level, sink, clock=None):
    logging.level, logging.sink, logging.clock = level, sink, clock


class Lines:
    """Takes the place of the console while a test runs."""

    def __init__(self, level=INFO, clock=None):
        self.lines = []
        self.level = level
        self.clock = clock or FakeClock()

    def __enter__(self):
        configure(self.level, self.lines.append, self.clock)
        return self.lines

    def __exit__(self, kind, error, traceback):
        configure(INFO, print)


def test_a_record_is_one_line_with_uptime_level_and_name():
    clock = FakeClock()
    with Lines(clock=clock) as lines:
        clock.advance(12345)
        Log("iothub").info("connected to %s in %d ms", "hub", 7)
    assert lines == ["12.345 INFO iothub: connected to hub in 7 ms"]


def test_no_one_two_and_three_values_also_none():
    with Lines() as lines:
        log = Log("x")
        log.warning("100% plain")
        log.warning("%s", None)
        log.warning("%s %s", 1, None)
        log.error("%s %s %s", 1, 2, (3, 4))
    assert [line.split(": ")[1] for line in lines] == [
        "100% plain",
        "None",
        "1 None",
        "1 2 (3, 4)",
    ]


def test_below_its_level_nothing_is_formatted_or_written():
    class Loud:
        def __str__(self):
            raise AssertionError("formatted")

    with Lines(ERROR) as lines:
        log = Log("x")
        log.debug("%s", Loud())
        log.info("%s", Loud())
        log.warning("%s", Loud())
        assert not lines
        log.error("now")
    assert len(lines) == 1
    with Lines(DEBUG) as lines:
        Log("x").debug("seen")
    assert len(lines) == 1


def test_a_log_that_is_off_writes_nothing_at_all():
    with Lines(OFF) as lines:
        log = Log("x")
        for tell in (log.debug, log.info, log.warning, log.error):
            tell("seen")
    assert not lines


def test_what_a_peer_sent_cannot_forge_a_line_or_steer_a_terminal():
    with Lines() as lines:
        Log("x").info("got %s", "a\r\n99.000 ERROR x: b\x1b[2J\x00\x7f\x9bc\u00e9")
        for alone in ("\x7f", "\x9f", "\x1f"):
            Log("x").info(alone)
    assert lines[1:] == ["0.000 INFO x: ?"] * 3
    assert lines[:1] == ["0.000 INFO x: got a??99.000 ERROR x: b?[2J???c\u00e9"]


def test_a_long_record_is_cut():
    with Lines() as lines:
        Log("x").info("%s", "y" * 10000)
    assert len(lines[0]) == 320 and lines[0].endswith("y...")


def test_a_wrong_number_of_values_is_told_and_not_raised():
    with Lines() as lines:
        Log("x").info("%d of %d", 1)
        Log("x").info("none", 1)
        Log("x").info("%d", "text")
    assert lines[0].endswith("%d of %d (1,)") and len(lines) == 3


def test_a_sink_that_fails_stops_nothing_and_is_counted():
    def full(line):
        raise errors.pop()

    errors = [OSError(28), MemoryError()]
    before = logging.lost_lines
    configure(INFO, full, FakeClock())
    try:
        Log("x").info("lost")
        Log("x").error("lost, %d", 2)
    finally:
        configure(INFO, print)
    assert logging.lost_lines == before + 2
