"""Rooms, weather and chance for tests of the control: deterministic, on both interpreters."""

import math


class Chance:
    """A small generator of numbers that look random. Source: Marsaglia, "Xorshift RNGs", 2003."""

    def __init__(self, seed):
        self._state = seed * 2654435761 % 4294967291 + 1

    def below(self, n):
        state = self._state
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        self._state = state
        return state % n

    def one_in(self, n):
        return self.below(n) == 0


class Weather:
    """Outside in °C: days, fronts that come and go, and sun on some days."""

    def __init__(self, mean_c, day_c, chance):
        self._mean_c = mean_c
        self._day_c = day_c
        self._chance = chance
        self._front_c = 0.0
        self._day = -1
        self.sun_c = 0.0
        self.outside_c = mean_c

    def at(self, second):
        hour = second / 3600 % 24
        if second // 86400 != self._day:
            self._day = second // 86400
            self._clear = self._chance.below(5)
        self._front_c += (self._chance.below(201) - 100) / 200 - self._front_c / 300
        wave = math.sin((hour - 9) * math.pi / 12)
        self.outside_c = self._mean_c + self._front_c + self._day_c * wave
        # What the sun through the windows is worth, as warmer outside
        self.sun_c = max(0, math.sin((hour - 6) * math.pi / 12)) * self._clear
        return self.outside_c + self.sun_c


class Room:
    """Loses heat to the outside, is heated by a radiator that warms and cools by itself."""

    def __init__(self, time_constant_h, lift_c, radiator_min=15.0, start_c=18.0):
        self._time_constant_s = time_constant_h * 3600
        self._lift_c = lift_c
        self._radiator_s = radiator_min * 60
        self._radiator = 0.0
        self.temperature_c = start_c

    def advance(self, seconds, outside_c, heat):
        self._radiator += ((1.0 if heat else 0.0) - self._radiator) * seconds / self._radiator_s
        goal = outside_c + self._lift_c * self._radiator
        self.temperature_c += (goal - self.temperature_c) * seconds / self._time_constant_s
