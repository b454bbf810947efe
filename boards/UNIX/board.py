"""MicroPython's unix port as a board: simulated sensors and relays in simulated rooms.

The contract is in boards/README.md. A PC's own needs come from environment variables:

THERMO_DATA         folder for everything this board keeps (default build/board; "/" as on boards)
THERMO_HOUSE        folder with the pipes to a house process; without it the house is in here
THERMO_SPEED        seconds in the rooms per real second (default 1)
THERMO_OUTSIDE      record of the outside, see fetch_outside.py (default: 5 °C for ever)
THERMO_OUTSIDE_ROW  hour of the record at which the replay begins (default 336: 15 January)
THERMO_DNS          name server, as 127.0.0.1:5300 (default: the PC's, of /etc/resolv.conf)
THERMO_RESET_CAUSE  set by the launcher: power_on, software or watchdog
THERMO_TICKS_PERIOD ms after which ticks wrap, a power of two (default: never; boards: 2^30)
THERMO_CONSOLE      set: the operator's keys come from stdin, a terminal in raw mode
THERMO_WATCHDOG_ARMED  ms: a soft reset began this process, and left the watchdog armed

What is on the buses and pins is in simulated/site.py. The button is pressed as long as a file
named `button` lies in the data folder.
"""

import hashlib
import os
import sys

from simulated.watchdog import LIMIT_MS, Watchdog, hold
from system.interpreter import free_memory, heap_in_use, random_below  # noqa: F401 - contract

NAME = "UNIX"
WATCHDOG_LIMIT_MS = LIMIT_MS
# The PC's clock is set by others: no time server is asked unless the configuration names one
KEEPS_TIME = True
# Exit code that asks the launcher to start the process again.
RESET_EXIT_CODE = 75


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


if os.getenv("THERMO_WATCHDOG_ARMED"):
    Watchdog(int(os.getenv("THERMO_WATCHDOG_ARMED")))

data_path = _make_folder((os.getenv("THERMO_DATA") or "build/board").rstrip("/"))


def _find_site(folder):
    if folder:
        from simulated.cable import connect

        return connect(folder)
    from simulated.site import Site

    return Site(data_path)


site = _find_site(os.getenv("THERMO_HOUSE"))
"""The world of this board. Not part of the contract: for start.py and tests."""
_lookup = None


def i2c(bus):
    """Bus 0 or 1. Called again, it frees a stuck bus first (nine clocks)."""
    wires = site.bus(bus)
    wires.recover()
    return wires


def one_wire(bus):
    """Bus 0. Raises ValueError: no such bus."""
    from simulated.onewire import OneWire

    return OneWire(site.line(bus))


def chip_temperature():
    """°C of the processor: warmer than the room it is in."""
    return site.chip_temperature()


def relay_pin(index):
    """The pin of relay 0 or 1, low: off."""
    pin = site.pin(index)
    pin.value(0)
    return pin


def led(on):
    site.led(on)


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


def network_state():
    return "joined"


def resolver(host, port):
    """The socket address of host and port, or None: ask again. Raises OSError.

    Names of /etc/hosts are not known to it, but for `localhost`.
    """
    global _lookup
    if _lookup is None:
        from system.lookup import Lookup

        _lookup = Lookup(_name_servers, random_below)
    return _lookup.resolve(host, port)


def _name_servers():
    given = os.getenv("THERMO_DNS")
    if given:
        return [given]
    try:
        with open("/etc/resolv.conf") as file:
            words = " ".join(file).split()
    except OSError:
        return []
    found = [words[at + 1] for at in range(len(words) - 1) if words[at] == "nameserver"]
    return [address for address in found if ":" not in address]  # IPv4 only


def clock():
    """The board's clock; with THERMO_TICKS_PERIOD its ticks wrap as those of a board do."""
    from system.clock import Clock

    period = int(os.getenv("THERMO_TICKS_PERIOD") or 0)
    if not period:
        return Clock()
    from simulated.ticks import WrappingTime

    return Clock(WrappingTime(period))


def set_time(unix_s):
    """Nothing: the PC keeps its own clock."""


def watchdog(timeout_ms):
    """Armed at once, and no longer held; see simulated/watchdog.py for its bite on a PC."""
    return Watchdog(timeout_ms)


def hold_watchdog(ms):
    """Keep an armed watchdog fed for at most `ms`, while nothing else does."""
    hold(ms)


def console():
    """The stream of the operator's keys, or None."""
    if not os.getenv("THERMO_CONSOLE"):
        return None
    # As text, a read waits for the rest of a letter, and everything with it
    return getattr(sys.stdin, "buffer", sys.stdin)


def unique_id():
    """Sixteen hex digits: the same for the same data folder, another for another."""
    path = data_path if data_path.startswith("/") else os.getcwd() + "/" + data_path
    return "".join("%02x" % byte for byte in hashlib.sha256(path.encode()).digest()[:8])


def reset():
    """End the process with the code that makes the launcher start it again."""
    site.power_off()
    sys.exit(RESET_EXIT_CODE)


def reset_cause():
    return os.getenv("THERMO_RESET_CAUSE") or "power_on"


def information():
    """What `deviceInformation` reports, as far as the board knows it; sizes in KB."""
    from simulated import computer
    from system.modules import forget

    found = computer.information(data_path)
    del computer
    forget(("simulated.computer", "system.description"))
    return found
