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
