"""One line of text a record, and nothing at all below the level.

    log = Log("iothub")
    log.info("connected to %s in %d ms", host, elapsed_ms)

The text is formatted after the level was tested, so that a silent record costs no heap. What
a peer sent can be logged as it came: it cannot start a line of its own or steer a terminal.
"""

from micropython import const

_DEBUG = const(10)
_INFO = const(20)
_WARNING = const(30)
_ERROR = const(40)
_NAMES = const(("DEBUG", "INFO", "WARNING", "ERROR"))

# Longer records are cut, for a text of a peer has no bound; the longest of ours lists the models
_LONGEST_LINE = const(320)
_NOTHING = object()
# Made once: built where it is needed, it would take heap when there is none
_LOSSES = (OSError, MemoryError)
# The first byte of a C1 control character in UTF-8, and of some that are harmless
_LEADS_C1 = const(0xC2)

# Of all logs at once, for the application to set: the least level that is written (10 debug,
# 20 info, 30 warning, 40 error, 50 none), who takes the lines, and the clock of the time stamps
level = _INFO
sink = print
clock = None
# Lines that the sink refused (flash full, console gone), or for which there was no heap: logging
# never stops the appliance
lost_lines = 0


class Log:
    """Records of one part of the program, `name`."""

    def __init__(self, name):
        self.name = name

    def debug(self, message, a=_NOTHING, b=_NOTHING, c=_NOTHING):
        if level <= _DEBUG:
            _write(_DEBUG, self.name, message, a, b, c)

    def info(self, message, a=_NOTHING, b=_NOTHING, c=_NOTHING):
        if level <= _INFO:
            _write(_INFO, self.name, message, a, b, c)

    def warning(self, message, a=_NOTHING, b=_NOTHING, c=_NOTHING):
        if level <= _WARNING:
            _write(_WARNING, self.name, message, a, b, c)

    def error(self, message, a=_NOTHING, b=_NOTHING, c=_NOTHING):
        if level <= _ERROR:
            _write(_ERROR, self.name, message, a, b, c)


def _write(of, name, message, a, b, c):
    global lost_lines
    try:
        sink(_text(of, name, message, a, b, c))
    except _LOSSES:
        lost_lines += 1


def _text(of, name, message, *values):
    while values and values[-1] is _NOTHING:
        values = values[:-1]
    try:
        text = message % values if values else message
    except (TypeError, ValueError):
        # Our own mistake in a rarely written record must not end the task that wrote it
        text = "%s %r" % (message, values)
    seconds = clock.uptime_s() if clock else 0
    milliseconds = clock.uptime_remainder_ms if clock else 0
    text = "%d.%03d %s %s: %s" % (seconds, milliseconds, _NAMES[of // 10 - 1], name, text)
    text = printable(text)
    if len(text) > _LONGEST_LINE:
        text = text[: _LONGEST_LINE - 3] + "..."
    return text


def printable(text):
    """`text` with every control character (C0, DEL, C1) replaced by `?`."""
    # Bytes first: MicroPython keeps each character of a text that it ever met
    for byte in text.encode():
        if byte < 0x20 or byte == 0x7F or byte == _LEADS_C1:
            return "".join(["?" if c < " " or "\x7f" <= c <= "\x9f" else c for c in text])
    return text
