"""Rooms, weather and time joined: what the simulated chips stand in.

Nothing runs by itself. Whoever looks (a chip that samples) makes the house live through the time
since it was last looked at: real milliseconds times `speed` are milliseconds in the rooms, the
same ones for the walls and for the weather.

The house outlives the thermostat: its state lies in `room.json`, and time that passed while no
process ran passes at the next start, with the heaters off. The same file is for a live screen:

    {"room_s": 5025.1, "unix_ms": 1700000000000, "speed": 60, "outside_c": 4.1, "led": false,
     "rooms": [{"temperature_c": 20.3, "humidity_percent": 35.7, "relay": true}, ...]}
"""

import json
import os
import time

# At most twice a second: enough for a screen.
_SAVE_EVERY_MS = 500
# Longer steps would let the weather jump.
_STEP_S = 600
# A house that was left for longer than this is as good as one left for this long.
_LONGEST_GAP_S = 3 * 86400
# Sea level, and steady: the thermostat does not act on it.
_PRESSURE_PA = 101325.0


class Air:
    """One room as a chip feels it."""

    def __init__(self, house, room):
        self._house = house
        self._room = room

    def temperature_c(self):
        self._house.settle()
        return self._room.temperature_c

    def humidity_percent(self):
        self._house.settle()
        return self._room.humidity_percent()

    def pressure_pa(self):
        return _PRESSURE_PA


class House:
    """`rooms` is a list of (Room, HeaterPin); `clock` has ticks_ms() and ticks_diff();
    `unix_ms()` is a wall clock, which only tells how long nobody was there."""

    def __init__(self, rooms, outside, clock, unix_ms, speed, path):
        self._rooms, self._outside = rooms, outside
        self._clock, self._unix_ms, self._path = clock, unix_ms, path
        self._speed = speed
        self._room_s = 0.0
        self.led = False
        self._settled_at = self._saved_at = clock.ticks_ms()
        self._restore()
        self.save()

    def air(self, index):
        return Air(self, self._rooms[index][0])

    def settle(self):
        """Live through the time since the last call."""
        now = self._clock.ticks_ms()
        elapsed_ms = self._clock.ticks_diff(now, self._settled_at)
        if elapsed_ms <= 0:
            return
        self._settled_at = now
        heating = [min(heater.take_high_ms() / elapsed_ms, 1) for _, heater in self._rooms]
        self._live(elapsed_ms * self._speed / 1000, heating)
        if self._clock.ticks_diff(now, self._saved_at) >= _SAVE_EVERY_MS:
            self._try_to_save(now)

    def save(self):
        """Write `room.json` anew; whoever reads it sees the old or the new one, whole."""
        self._saved_at = self._clock.ticks_ms()
        with open(self._path + ".new", "w") as file:
            json.dump(self._state(), file)
        os.rename(self._path + ".new", self._path)

    def _try_to_save(self, now):
        # A full disk leaves the screen with old figures; the chips must not feel it.
        self._saved_at = now
        try:
            self.save()
        except OSError:
            pass

    def _live(self, seconds, heating):
        while seconds > 0:
            step = min(seconds, _STEP_S)
            outside_c = self._outside.temperature_c(self._room_s + step / 2)
            for index, (room, _) in enumerate(self._rooms):
                room.advance(step, outside_c, heating[index])
            self._room_s += step
            seconds -= step

    def _state(self):
        rooms = [
            {
                "temperature_c": room.temperature_c,
                "humidity_percent": room.humidity_percent(),
                "relay": bool(heater.value()),
            }
            for room, heater in self._rooms
        ]
        return {
            "room_s": self._room_s,
            "unix_ms": self._unix_ms(),
            "speed": self._speed,
            "outside_c": self._outside.temperature_c(self._room_s),
            "led": self.led,
            "rooms": rooms,
        }

    def _restore(self):
        """Take up the state of the last process, if there is one that can be read."""
        try:
            with open(self._path) as file:
                state = json.load(file)
            temperatures = [float(room["temperature_c"]) for room in state["rooms"]]
            room_s, unix_ms = float(state["room_s"]), int(state["unix_ms"])
        except (OSError, ValueError, KeyError, TypeError):
            return
        for index, temperature_c in enumerate(temperatures[: len(self._rooms)]):
            self._rooms[index][0].temperature_c = temperature_c
        self._room_s = room_s
        away_s = max(self._unix_ms() - unix_ms, 0) * self._speed / 1000
        self._live(min(away_s, _LONGEST_GAP_S), [0] * len(self._rooms))


def unix_ms():
    """The wall clock in milliseconds since 1970."""
    return time.time_ns() // 1000000
