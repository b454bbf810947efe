"""MicroPython's unix port as a board: simulated sensors and relays in simulated rooms.

The contract is in boards/README.md. A PC's own needs come from environment variables:

THERMO_DATA         folder for everything this board keeps (default build/board)
THERMO_SPEED        seconds in the rooms per real second (default 1)
THERMO_OUTSIDE      record of the outside, see fetch_outside.py (default: 5 °C for ever)
THERMO_OUTSIDE_ROW  hour of the record at which the replay begins (default 336: 15 January)
THERMO_RESET_CAUSE  set by the launcher: power_on, software or watchdog
THERMO_TICKS_PERIOD ms after which ticks wrap, a power of two (default: never; boards: 2^30)

Bus 0 carries an SHT4x at 0x44 in room 0, bus 1 a BME280 at 0x76 in room 1; relay 0 and 1 heat
these rooms. The button is pressed as long as a file named `button` lies in the data folder.
"""

import gc
import hashlib
import os
import socket
import sys
import time

from simulated.heater import HeaterPin
from simulated.watchdog import LIMIT_MS, Watchdog

NAME = "UNIX"
WATCHDOG_LIMIT_MS = LIMIT_MS
# Exit code that asks the launcher to start the process again.
RESET_EXIT_CODE = 75
_FASTEST = 100000


def _number(name, kind, default, lowest, highest):
    """An environment variable as a number. Raises ValueError that names it."""
    text = os.getenv(name)
    if not text:
        return default
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not lowest <= value <= highest:
        raise ValueError("%s=%s: not a number from %s to %s" % (name, text, lowest, highest))
    return value


def _make_folder(path):
    """The folder and those above it, as far as they are missing."""
    parts = path.split("/")
    for end in range(1, len(parts) + 1):
        part = "/".join(parts[:end])
        try:
            if part:
                os.mkdir(part)
        except OSError:
            pass  # it is there; and if it is not, opening the first file in it says why
    return path


data_path = _make_folder(os.getenv("THERMO_DATA") or "build/board")
_heaters = (HeaterPin(time), HeaterPin(time))
_house = None
_buses = {}


def house():
    """The simulated house, built at first use. Not part of the contract."""
    global _house
    if _house is None:
        from simulated.house import House, unix_ms
        from simulated.outside import Outside
        from simulated.room import Room

        # A living room of 60 W/K with a time constant of 3 h, and a bedroom of 40 W/K with 2 h;
        # both heaters hold 25 K above the outside.
        rooms = [
            (Room(648000, 60, 1500, 18.5), _heaters[0]),
            (Room(288000, 40, 1000, 17.0), _heaters[1]),
        ]
        row = _number("THERMO_OUTSIDE_ROW", int, 336, 0, 100000)
        outside = Outside(os.getenv("THERMO_OUTSIDE"), row)
        speed = _number("THERMO_SPEED", float, 1, 0.001, _FASTEST)
        _house = House(rooms, outside, time, unix_ms, speed, data_path + "/room.json")
    return _house


def power_off():
    """What losing power does: pins low, and the house goes on from here by itself. Not part of
    the contract: for start.py."""
    for heater in _heaters:
        heater.value(0)
    if _house is not None:
        _house.settle()
        _house.save()


def i2c(bus):
    """Bus 0 or 1. Called again, it frees a stuck bus first (nine clocks)."""
    if bus not in _buses:
        _buses[bus] = _wire(bus)
    _buses[bus].recover()
    return _buses[bus]


def _wire(bus):
    from simulated.bus import Bus

    wires = Bus()
    if bus == 0:
        from simulated.sht4x import SHT4x

        wires.attach(0x44, SHT4x(time, house().air(0)))
    elif bus == 1:
        from simulated.bme280 import BME280

        wires.attach(0x76, BME280(time, house().air(1)))
    else:
        raise ValueError("I2C bus %r: this board has 0 and 1" % bus)
    return wires


def relay_pin(index):
    """The pin of relay 0 or 1, low: off."""
    pin = _heaters[index]
    pin.value(0)
    return pin


def led(on):
    house().led = bool(on)


def button_pressed():
    try:
        os.stat(data_path + "/button")
    except OSError:
        return False
    return True


def connect_network(settings):
    """Nothing to join: the PC's network is there before the process is."""


def network_up():
    return True


def resolver(host, port):
    """The socket address of host and port. Raises OSError.

    This blocks. On a PC that is bearable: the local hub is an address or `localhost`, and the
    system's own resolver is bounded and cached. Boards bring a resolver that does not block.
    """
    return socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)[0][-1]


def clock():
    """The board's clock; with THERMO_TICKS_PERIOD its ticks wrap as those of a board do."""
    from system.clock import Clock, WrappingClock

    period = _number("THERMO_TICKS_PERIOD", int, 0, 1 << 16, 1 << 32)
    return WrappingClock(period) if period else Clock()


def watchdog(timeout_ms):
    """Armed at once; see simulated/watchdog.py for what biting means on a PC."""
    return Watchdog(timeout_ms)


def unique_id():
    """Sixteen hex digits: the same for the same data folder, another for another."""
    path = data_path if data_path.startswith("/") else os.getcwd() + "/" + data_path
    return "".join("%02x" % byte for byte in hashlib.sha256(path.encode()).digest()[:8])


def reset():
    """End the process with the code that makes the launcher start it again."""
    power_off()
    sys.exit(RESET_EXIT_CODE)


def reset_cause():
    return os.getenv("THERMO_RESET_CAUSE") or "power_on"


def free_memory():
    return gc.mem_free()


def heap_in_use():
    return gc.mem_alloc()


def random_below(n):
    """Evenly distributed in 0..n-1: draws that would favour small numbers are drawn again.
    n from 1 to 2^29. Raises ValueError."""
    if not 1 <= n <= 1 << 29:
        raise ValueError("random_below: %r is not in 1..2^29" % n)
    mask = 1
    while mask < n - 1:
        mask = mask << 1 | 1
    while True:
        value = int.from_bytes(os.urandom(4), "little") & mask
        if value < n:
            return value


def information():
    """What `deviceInformation` reports, as far as the board knows it; sizes in KB."""
    from simulated import computer

    return computer.information(data_path)
