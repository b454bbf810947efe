"""Modules and development boards with the first ESP32 (WROOM, WROVER).

Not for us: 0 2 5 12 15 are read at reset, 6 to 11 are the flash, 16 and 17 the PSRAM of a
WROVER, 1 and 3 the console, 34 to 39 inputs only; 14 pulses at reset.
"""

from machine import Pin, Signal

# (pin, level that switches the relay on): 0 for a module that switches on at low level
RELAYS = ((25, 1), (26, 1))
# Off before anything else is imported, and before the pins become outputs
_relays = [Signal(Pin(pin, Pin.OUT, value=1 - on), invert=on == 0) for pin, on in RELAYS]

import esp32_port  # noqa: E402
from esp32_port import *  # noqa: E402, F403 - the rest of the contract

NAME = "ESP32_GENERIC"

esp32_port.wire(
    _relays,
    i2c=((22, 21), (33, 32)),  # (scl, sda) of bus 0 and 1
    one_wire=27,
    led=(13, 1),  # (pin, level that lights it)
    button=0,  # BOOT
)


def information():
    return esp32_port.describe("Espressif", "ESP32", "Espressif")
