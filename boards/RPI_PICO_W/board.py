"""Raspberry Pi Pico W: RP2040, with the radio on 23 to 25 and 29.

The button is BOOTSEL.
"""

from machine import Pin, Signal

# (pin, level that switches the relay on): 0 for a module that switches on at low level
RELAYS = ((14, 1), (15, 1))
# Off before anything else is imported, and before the pins become outputs
_relays = [Signal(Pin(pin, Pin.OUT, value=1 - on), invert=on == 0) for pin, on in RELAYS]

import rp2_port  # noqa: E402
from rp2_port import *  # noqa: E402, F403 - the rest of the contract

NAME = "RPI_PICO_W"

rp2_port.wire(
    _relays,
    i2c=((5, 4), (7, 6)),  # (scl, sda) of bus 0 and 1
    one_wire=22,
    led=("LED", 1),  # (pin, level that lights it)
    watchdog_ctrl=0x40058000,  # RP2040 data sheet 4.7.6
)


def information():
    return rp2_port.describe("Raspberry Pi", "Pico W", "Raspberry Pi")
