"""The part of the board contract (boards/README.md) that ESP32 and RP2 boards keep alike.

A board's file has its relays switched off before it imports this, and then hands it the pins.
"""

import sys
import time

import machine
from machine import Pin, Signal
from system.interpreter import free_memory, heap_in_use, random_below  # noqa: F401 - contract

from hardware.i2c import Bus

# What the RP2040 can count to (ports/rp2/machine_wdt.c). Others can count further; code that
# relied on that would run nowhere else
WATCHDOG_LIMIT_MS = 8388
# The root of the flash
data_path = ""

_EPOCH_2000_S = 946684800

_relays = ()
_bus_pins = ()
_buses = {}
_one_wire_pin = None
_led_pin = None
_led = None
_is_left_armed = None
_timer = None
_watchdog = None
_hold = None
_station = None
_lookup = None


def take_pins(relays, i2c, one_wire, led):
    """`relays`: Signals, off; `i2c`: (scl, sda) for each bus; `one_wire`: a pin; `led`: (pin,
    level that lights it)."""
    global _relays, _bus_pins, _one_wire_pin, _led_pin
    _relays, _bus_pins, _one_wire_pin, _led_pin = relays, i2c, one_wire, led


def take_watchdog(is_left_armed, timer):
    """`is_left_armed()` tells whether a watchdog is armed from before a soft reset; `timer`: the
    number of the one that may feed it."""
    global _is_left_armed, _timer
    _is_left_armed, _timer = is_left_armed, timer


# ---- pins and buses


def relay_pin(index):
    """The pin of relay `index`, low: off, whatever level that is on the wire."""
    relay = _relays[index]
    relay.value(0)
    return relay


def i2c(bus):
    """The bus with this number; called again, it frees a stuck one first (nine clocks)."""
    if not 0 <= bus < len(_bus_pins):
        raise ValueError("I2C bus %r: this board has 0 to %d" % (bus, len(_bus_pins) - 1))
    if bus in _buses:
        _buses[bus].recover()
    else:
        _buses[bus] = Bus(*_bus_pins[bus])
    return _buses[bus]


def one_wire(bus):
    if bus != 0:
        raise ValueError("one-wire bus %r: this board has 0" % bus)
    from onewire import OneWire

    return OneWire(Pin(_one_wire_pin))


def led(on):
    global _led
    if _led is None:
        # Not before it is wanted: on a Pico W this starts the radio, which takes a while
        pin, on_level = _led_pin
        _led = Signal(Pin(pin, Pin.OUT, value=1 - on_level), invert=on_level == 0)
    _led.value(1 if on else 0)


# ---- network


def start_network(settings, texts, busy, prepare):
    """What a port's `connect_network` does; see hardware/wifi.py for what it has to know."""
    global _station
    if _station is None:
        from hardware.wifi import Station

        _station = Station(texts, busy, prepare)
    _station.join(settings)


def network_up():
    """Is there an address to speak from? Who asks needs one: a lost network is joined again."""
    if _station is None:
        return False
    _station.tend()
    return _station.is_up()


def network_state():
    return "not started" if _station is None else _station.state()


def resolver(host, port):
    """The socket address of host and port, or None: ask again. Raises OSError."""
    global _lookup
    if not network_up():
        if _station is not None and _station.is_joining():
            return None
        raise OSError("no Wi-Fi: " + network_state())
    if _lookup is None:
        from system.lookup import Lookup

        _lookup = Lookup(_station.name_servers, random_below)
    return _lookup.resolve(host, port)


# ---- time and watchdog


def clock():
    from system.clock import Clock

    return Clock()


def set_time(unix_s):
    """Set the real-time clock, which counts from 1970 or from 2000."""
    since_epoch = unix_s - (_EPOCH_2000_S if time.gmtime(0)[0] == 2000 else 0)
    year, month, day, hour, minute, second, weekday, _ = time.gmtime(since_epoch)
    machine.RTC().datetime((year, month, day, weekday, hour, minute, second, 0))


def arm_watchdog(timeout_ms):
    """Armed at once. Raises ValueError if `timeout_ms` is not in 1..WATCHDOG_LIMIT_MS."""
    global _watchdog
    if not 1 <= timeout_ms <= WATCHDOG_LIMIT_MS:
        raise ValueError("watchdog: %d ms is not in 1..%d" % (timeout_ms, WATCHDOG_LIMIT_MS))
    _release()
    _watchdog = machine.WDT(timeout=timeout_ms)
    return _watchdog


def hold_watchdog(ms):
    """Keep an armed watchdog fed for at most `ms` while the prompt is in use."""
    global _watchdog, _hold
    _release()
    if _watchdog is None:
        if not _is_left_armed():
            return
        # The soft reset took the object; another one of the same hardware feeds it
        _watchdog = machine.WDT(timeout=WATCHDOG_LIMIT_MS)
    from hardware.hold import Hold

    _hold = Hold(_watchdog, ms, _timer)


def _release():
    global _hold
    if _hold is not None:
        _hold.release()
        _hold = None


# ---- the board itself


def console():
    # As text, a read waits for the rest of a letter, and everything with it
    return getattr(sys.stdin, "buffer", sys.stdin)


def unique_id():
    return "".join("%02x" % byte for byte in machine.unique_id())


def reset():
    for relay in _relays:
        relay.value(0)
    machine.reset()


def describe(manufacturer, model, processor_manufacturer):
    """What a board's `information` answers."""
    from system import description
    from system.modules import forget

    found = description.describe(manufacturer, model, processor_manufacturer, data_path or "/")
    del description
    forget(("system.description",))
    return found
