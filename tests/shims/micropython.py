"""CPython stand-in for MicroPython's `micropython` module: what the firmware uses of it."""


def const(value):
    return value


def heap_lock():
    """CPython has no heap lock; the proof that nothing is allocated runs on MicroPython."""


def heap_unlock():
    pass


def kbd_intr(character):
    pass
