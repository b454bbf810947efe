"""A control tick costs no heap: none at all, not even garbage."""

import micropython
from thermostat.control import ZoneControl
from thermostat.settings import defaults

READINGS = (2000, 2200, 399, 5100, 9000, 2070, 2131, -4500)


def steps(control, count):
    number = 0
    while number < count:
        valid = number % 11 != 3
        control.step(977, READINGS[number // 300 % 8], valid if number % 5 else None, 2100)
        number += 1


def test_ten_thousand_steps_under_heap_lock():
    for heats in (True, False):
        control = ZoneControl(defaults().control, heats)
        steps(control, 20)
        micropython.heap_lock()
        try:
            steps(control, 10000)
        finally:
            micropython.heap_unlock()
