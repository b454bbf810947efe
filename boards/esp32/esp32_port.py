"""What boards with an ESP32 of any kind do alike, beside what is in hardware/contract.py."""

import errno

import esp32
import machine
from hardware import contract
from hardware.contract import *  # noqa: F403 - handed on to the board's file
from machine import Pin
from micropython import const

# What the RTC's memory holds while a watchdog is armed: unlike RAM it outlives a soft reset,
# as the watchdog does
_ARMED = const(b"watchdog")

# Source: MicroPython's ports/esp32, network.STAT_*; 2 and 15 are ESP-IDF's own reasons, which
# are handed through
_BUSY = const((1001,))
_TEXTS = {
    2: "refused by the access point",
    15: "wrong password",
    200: "signal lost",
    201: "no such network",
    202: "wrong password",
    203: "refused by the access point",
    204: "wrong password",
    210: "network has other security",
    211: "network has weaker security",
    212: "signal too weak",
    1000: "not joined",
    1001: "joining",
    1010: "joined",
}
# Within one attempt; then the status tells why it failed, and hardware/wifi.py tries again
_RECONNECTS = const(2)

# A panic, and machine.reset(), read as HARD_RESET; the reset button as PWRON_RESET
_CAUSES = {
    machine.PWRON_RESET: "power_on",
    machine.HARD_RESET: "software",
    machine.SOFT_RESET: "software",
    machine.WDT_RESET: "watchdog",
}

# A hardware timer, which every ESP32 has; not all versions of the port know -1
_TIMER = const(0)

_button = None

if machine.reset_cause() != machine.SOFT_RESET:
    # From before the reset, which has stopped the watchdog
    machine.RTC().memory(b"")


def wire(relays, i2c, one_wire, led, button):
    """See hardware/contract.py; `button`: the pin of the BOOT button."""
    global _button
    contract.take_pins(relays, i2c, one_wire, led)
    contract.take_watchdog(_is_left_armed, _TIMER)
    _button = Pin(button, Pin.IN, Pin.PULL_UP)


def button_pressed():
    return _button.value() == 0


def connect_network(settings):
    contract.start_network(settings, _TEXTS, _BUSY, _prepare)


def watchdog(timeout_ms):
    """Armed at once. Raises ValueError if `timeout_ms` is not in 1..WATCHDOG_LIMIT_MS."""
    armed = contract.arm_watchdog(timeout_ms)
    machine.RTC().memory(_ARMED)
    return armed


def reset_cause():
    return _CAUSES.get(machine.reset_cause(), "unknown")


def chip_temperature():
    """Degrees Celsius of the chip, some degrees above its surroundings. Raises OSError."""
    if hasattr(esp32, "mcu_temperature"):
        return float(esp32.mcu_temperature())
    if hasattr(esp32, "raw_temperature"):
        return (esp32.raw_temperature() - 32) / 1.8  # the first ESP32 measures in Fahrenheit
    raise OSError(errno.ENODEV)


def _is_left_armed():
    return machine.RTC().memory() == _ARMED


def _prepare(wlan):
    wlan.config(reconnects=_RECONNECTS)
