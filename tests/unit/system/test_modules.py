import sys

from system.modules import forget


def test_a_forgotten_module_is_read_anew():
    import system.clock

    first = system.clock
    forget(("system.clock", "system.no_such_module", "no_package.module"))
    assert "system.clock" not in sys.modules
    from system.clock import format_utc

    assert sys.modules["system.clock"] is not first
    assert format_utc(0) == first.format_utc(0)
