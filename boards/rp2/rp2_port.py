"""What boards with an RP2040 or RP2350 do alike, beside what is in hardware/contract.py."""

import machine
import rp2
from hardware import contract
from hardware.contract import *  # noqa: F403 - handed on to the board's file
from machine import ADC
from micropython import const

# Source: cyw43-driver, CYW43_LINK_*; MicroPython has no name for 2
_BUSY = const((1, 2))
_TEXTS = {
    0: "not joined",
    1: "joining",
    2: "joined, no address yet",
    3: "joined",
    -1: "joining failed",
    -2: "no such network",
    -3: "wrong password",
}

# Source: RP2040 and RP2350 data sheets, watchdog CTRL: ENABLE is bit 30
_ENABLED = const(1 << 30)
# Source: there too, REASON, 8 behind CTRL: TIMER is bit 0, FORCE bit 1
_REASON = const(8)
_TIMER_BIT = const(1)
# The port has software timers only
_TIMER = const(-1)

_watchdog_ctrl = None


def wire(relays, i2c, one_wire, led, watchdog_ctrl):
    """See hardware/contract.py; `watchdog_ctrl`: the address of the watchdog's CTRL register."""
    global _watchdog_ctrl
    _watchdog_ctrl = watchdog_ctrl
    contract.take_pins(relays, i2c, one_wire, led)
    contract.take_watchdog(_is_left_armed, _TIMER)


def button_pressed():
    return rp2.bootsel_button() == 1


def connect_network(settings):
    contract.start_network(settings, _TEXTS, _BUSY, _prepare)


watchdog = contract.arm_watchdog


def reset_cause():
    """MicroPython takes every reset by the watchdog for its bite, `machine.reset()` too."""
    cause = machine.reset_cause()
    if cause == machine.PWRON_RESET:
        return "power_on"
    if cause != machine.WDT_RESET:
        return "unknown"
    return "watchdog" if machine.mem32[_watchdog_ctrl + _REASON] & _TIMER_BIT else "software"


def chip_temperature():
    """Degrees Celsius of the chip, some degrees above its surroundings."""
    # Source: RP2040 data sheet 4.9.5, RP2350 data sheet 12.4.6, temperature sensor
    volts = ADC(ADC.CORE_TEMP).read_u16() * 3.3 / 65535
    return 27 - (volts - 0.706) / 0.001721


def _is_left_armed():
    return machine.mem32[_watchdog_ctrl] & _ENABLED != 0


def _prepare(wlan):
    # Power saving makes it answer late and lose its access point (MicroPython issue 9455)
    wlan.config(pm=wlan.PM_NONE)
