"""Everything outside the processor: rooms, chips on their buses, heaters on their pins.

    bus 0   SHT4x at 0x44 in room 0      relay 0 heats room 0
    bus 1   BME280 at 0x76 in room 1     relay 1 heats room 1
    one-wire 0   DS18B20 28-0000075a1b2c in room 1

It stands in a process of its own (`house_process`), or, for tests and by hand, beside the
firmware in one.
"""

import os
import time

from simulated.bme280 import BME280
from simulated.bus import Bus
from simulated.ds18b20 import DS18B20, Line
from simulated.heater import HeaterPin
from simulated.house import House, unix_ms
from simulated.outside import Outside
from simulated.room import Room
from simulated.sht4x import SHT4x

_FASTEST = 100000
# What the processor's own work adds to the air of room 0, where the board hangs
_SELF_HEATING_K = 12


def number(name, kind, default, lowest, highest):
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


class Site:
    """The house whose state lies in the folder `data_path`. Raises ValueError for an
    environment that makes no sense."""

    def __init__(self, data_path):
        self._pins = (HeaterPin(time), HeaterPin(time))
        # A living room of 60 W/K with a time constant of 3 h, and a bedroom of 40 W/K with 2 h;
        # both heaters hold 25 K above the outside.
        rooms = [
            (Room(648000, 60, 1500, 18.5), self._pins[0]),
            (Room(288000, 40, 1000, 17.0), self._pins[1]),
        ]
        row = number("THERMO_OUTSIDE_ROW", int, 336, 0, 100000)
        outside = Outside(os.getenv("THERMO_OUTSIDE"), row)
        speed = number("THERMO_SPEED", float, 1, 0.001, _FASTEST)
        self.house = House(rooms, outside, time, unix_ms, speed, data_path + "/room.json")
        self._buses = (Bus(), Bus())
        self._buses[0].attach(0x44, SHT4x(time, self.house.air(0)))
        self._buses[1].attach(0x76, BME280(time, self.house.air(1)))
        self._line = Line()
        self._line.chips.append(DS18B20(time, self.house.air(1)))

    def bus(self, number):
        """Raises ValueError if there is none."""
        if not 0 <= number < len(self._buses):
            raise ValueError("I2C bus %r: this board has 0 and 1" % number)
        return self._buses[number]

    def line(self, number):
        """The one-wire line. Raises ValueError if there is none."""
        if number != 0:
            raise ValueError("one-wire bus %r: this board has 0" % number)
        return self._line

    def chip_temperature(self):
        return self.house.air(0).temperature_c() + _SELF_HEATING_K

    def pin(self, index):
        """Raises IndexError if there is none."""
        return self._pins[index]

    def led(self, on):
        self.house.led = bool(on)

    def power_off(self):
        """What losing power does: pins low, and the house goes on from here by itself."""
        for pin in self._pins:
            pin.value(0)
        self.house.settle()
        self.house.save()
