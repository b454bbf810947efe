"""Modules and development boards with the ESP32-C3.

Not for us: 2 8 9 are read at reset, 11 to 17 are the flash, 18 and 19 USB, 20 and 21 the console.
That leaves eight, and all of them are used.
"""

from machine import Pin, Signal

# (pin, level that switches the relay on): 0 for a module that switches on at low level
RELAYS = ((4, 1), (5, 1))
# Off before anything else is imported, and before the pins become outputs
_relays = [Signal(Pin(pin, Pin.OUT, value=1 - on), invert=on == 0) for pin, on in RELAYS]

import esp32_port  # noqa: E402
from esp32_port import *  # noqa: E402, F403 - the rest of the contract

NAME = "ESP32_GENERIC_C3"

esp32_port.wire(
    _relays,
    i2c=((7, 6), (1, 0)),  # (scl, sda) of bus 0 and 1
    one_wire=10,
    led=(3, 1),  # (pin, level that lights it)
    button=9,  # BOOT
)


def information():
    return esp32_port.describe("Espressif", "ESP32-C3", "Espressif")
