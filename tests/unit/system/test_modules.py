import sys

from system.modules import forget


def test_a_forgotten_module_is_read_anew():
    import system.rfc3339

    first = system.rfc3339
    forget(("system.rfc3339", "system.no_such_module", "no_package.module"))
    assert "system.rfc3339" not in sys.modules
    from system.rfc3339 import format_utc

    assert sys.modules["system.rfc3339"] is not first
    assert format_utc(0) == first.format_utc(0)
