"""Modules and development boards with the ESP32-S3.

Not for us: 0 3 45 46 are read at reset, 26 to 37 are flash and PSRAM, 19 and 20 USB, 43 and 44
the console.
"""

from machine import Pin, Signal

# (pin, level that switches the relay on): 0 for a module that switches on at low level
RELAYS = ((4, 1), (5, 1))
# Off before anything else is imported, and before the pins become outputs
_relays = [Signal(Pin(pin, Pin.OUT, value=1 - on), invert=on == 0) for pin, on in RELAYS]

import esp32_port  # noqa: E402
from esp32_port import *  # noqa: E402, F403 - the rest of the contract

NAME = "ESP32_GENERIC_S3"

esp32_port.wire(
    _relays,
    i2c=((9, 8), (13, 12)),  # (scl, sda) of bus 0 and 1
    one_wire=6,
    led=(7, 1),  # (pin, level that lights it)
    button=0,  # BOOT
)


def information():
    return esp32_port.describe("Espressif", "ESP32-S3", "Espressif")
