"""One line of text a record, and nothing at all below the level.

    log = Log("iothub")
    log.info("connected to %s in %d ms", host, elapsed_ms)

The text is formatted after the level was tested, so that a silent record costs no heap. What
a peer sent can be logged as it came: it cannot start a line of its own or steer a terminal.
"""

import time

from micropython import const

DEBUG = const(10)
INFO = const(20)
WARNING = const(30)
ERROR = const(40)

# Longer records are cut: one must fit a console line buffer, and a peer's text has no bound
_LONGEST_LINE = const(240)
_NOTHING = object()
# The first byte of a C1 control character in UTF-8, and of some that are harmless
_LEADS_C1 = const(0xC2)

_level = INFO
_sink = print
_clock = None
# Lines that the sink refused (flash full, console gone): logging never stops the appliance
lost_lines = 0


def configure(level=None, sink=None, clock=None):
    """Set, for all logs at once, what is given: level, sink(line), clock of the time stamps."""
    global _level, _sink, _clock
    if level is not None:
        _level = level
    if sink is not None:
        _sink = sink
    if clock is not None:
        _clock = clock


class Log:
    """Records of one part of the program, `name`."""

    def __init__(self, name):
        self.name = name

    def debug(self, message, a=_NOTHING, b=_NOTHING, c=_NOTHING):
        if _level <= DEBUG:
            _write("DEBUG", self.name, message, a, b, c)

    def info(self, message, a=_NOTHING, b=_NOTHING, c=_NOTHING):
        if _level <= INFO:
            _write("INFO", self.name, message, a, b, c)

    def warning(self, message, a=_NOTHING, b=_NOTHING, c=_NOTHING):
        if _level <= WARNING:
            _write("WARNING", self.name, message, a, b, c)

    def error(self, message, a=_NOTHING, b=_NOTHING, c=_NOTHING):
        if _level <= ERROR:
            _write("ERROR", self.name, message, a, b, c)


def _write(level, name, message, a, b, c):
    global lost_lines
    text = "%s %s %s: %s" % (_stamp(), level, name, printable(_formatted(message, a, b, c)))
    if len(text) > _LONGEST_LINE:
        text = text[: _LONGEST_LINE - 3] + "..."
    try:
        _sink(text)
    except OSError:
        lost_lines += 1


def _stamp():
    if _clock is None:
        ticks = time.ticks_ms()
        return "%d.%03d" % (ticks // 1000, ticks % 1000)
    seconds = _clock.uptime_s()
    return "%d.%03d" % (seconds, _clock.uptime_remainder_ms)


def _formatted(message, a, b, c):
    if a is _NOTHING:
        return message
    values = (a,) if b is _NOTHING else (a, b) if c is _NOTHING else (a, b, c)
    try:
        return message % values
    except (TypeError, ValueError):
        # Our own mistake in a rarely written record must not end the task that wrote it
        return "%s %r" % (message, values)


def printable(text):
    """`text` with every control character (C0, DEL, C1) replaced by `?`."""
    # Bytes first: MicroPython keeps each character of a text that it ever met
    for byte in text.encode():
        if byte < 0x20 or byte == 0x7F or byte == _LEADS_C1:
            return "".join(["?" if c < " " or "\x7f" <= c <= "\x9f" else c for c in text])
    return text
