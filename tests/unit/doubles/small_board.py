"""A board with two relays and two buses on which nothing answers, for the appliance as a whole."""

import asyncio
import errno

from doubles import folders
from doubles.clock import FakeClock
from doubles.pin import FakePin
from doubles.watchdog import FakeWatchdog


class EmptyBus:
    def writeto(self, address, buffer, stop=True):
        raise OSError(errno.ENODEV)

    writeto_mem = readfrom_into = readfrom_mem_into = writeto


class SmallBoard:
    """See boards/README.md. `folder` is made, and emptied, to be its data path.

    A reset is counted, and ends the task that asked for it; whoever runs the others has to look.
    """

    NAME = "SMALL"
    KEEPS_TIME = True

    def __init__(self, folder):
        self.data_path = folder
        self.joined = []
        self.pins = [FakePin(1), FakePin(1)]
        self.resets = 0
        self.made_clock = FakeClock()
        self.dog = None
        folders.empty(folder)

    def write(self, name, content):
        with open(self.data_path + "/" + name, "wb") as file:
            file.write(content)

    def clock(self):
        return self.made_clock

    def watchdog(self, timeout_ms):
        self.dog = FakeWatchdog(self.made_clock, timeout_ms)
        return self.dog

    def i2c(self, bus):
        if bus > 1:
            raise ValueError("bus must be 0 or 1")
        return EmptyBus()

    def relay_pin(self, index):
        self.pins[index].value(0)
        return self.pins[index]

    def connect_network(self, settings):
        self.joined.append(settings.ssid)

    def resolver(self, host, port):
        return None

    def random_below(self, n):
        return n // 2

    def unique_id(self):
        return "e6614104"

    def heap_in_use(self):
        return 4096

    def information(self):
        return {"manufacturer": "Nobody", "totalMemory": 264}

    def reset(self):
        self.resets += 1
        raise asyncio.CancelledError
