import sys

from system.modules import forget, later


def test_a_forgotten_module_is_read_anew():
    import system.clock

    first = system.clock
    forget(("system.clock", "system.no_such_module", "no_package.module"))
    assert "system.clock" not in sys.modules
    from system.clock import format_utc

    assert sys.modules["system.clock"] is not first
    assert format_utc(0) == first.format_utc(0)


def test_a_module_that_is_needed_later_is_not_there_before_nor_after():
    forget(("system.clock",))
    tell = later(("system.clock",), "format_utc", 0)
    for _ in range(2):
        assert "system.clock" not in sys.modules
        assert tell() == "1970-01-01T00:00:00Z"
    assert "system.clock" not in sys.modules


def _take_heap():
    """All of it but crumbs, as a chain."""
    chain, size = None, 1 << 16
    while size >= 16:
        try:
            chain = (bytearray(size), chain)
        except MemoryError:
            size >>= 1
    return chain


def _import_without_heap(name):
    """Whether it failed."""
    taken = None
    try:
        taken = _take_heap()
        __import__(name)
    except MemoryError:
        return True
    finally:
        taken = None  # noqa: F841 - free from here on
    return False


def test_what_could_not_be_loaded_for_want_of_heap_is_loaded_later():
    """MicroPython 1.29 keeps the name of a module that it found no heap for, and whoever imports
    it next gets what is no object: NameError, or the interpreter's end."""
    if sys.implementation.name != "micropython":
        return  # its heap has no end
    tell = later(("system.dates",), "parse_utc", "1970-01-01T00:01:00Z")
    for _ in range(8):
        assert tell() == 60
        assert "system.dates" not in sys.modules
        assert not hasattr(sys.modules["system"], "dates")
        assert _import_without_heap("system.dates")


def test_forgetting_needs_no_heap():
    __import__("system.dates")

    if sys.implementation.name != "micropython":
        return
    taken = _take_heap()
    forget(("system.dates",))
    taken = None  # noqa: F841
    assert "system.dates" not in sys.modules
