"""A room with a heater, as physics has it; it knows no clock, no chip and no thermostat.

One heat capacity and one loss: dT/dt = (outside + heat/loss - T) / (capacity/loss). With the
outside and the heater constant over a step this has an exact solution, so a step may be long.
"""

import math


def saturation_pressure_pa(celsius):
    """Of water vapour. Source: Magnus formula, WMO-No. 8, annex 4.B."""
    return 611.2 * math.exp(17.62 * celsius / (243.12 + celsius))


class Room:
    """capacity_j_per_k: air, furniture and the skin of the walls.
    loss_w_per_k: through walls, windows and draught.
    heater_w: what the relay switches.
    vapour_pa: water in the air, which heating does not change, so warm air reads drier.
    """

    def __init__(self, capacity_j_per_k, loss_w_per_k, heater_w, temperature_c, vapour_pa=850.0):
        self.time_constant_s = capacity_j_per_k / loss_w_per_k
        self.heater_lift_k = heater_w / loss_w_per_k
        self.temperature_c = temperature_c
        self._vapour_pa = vapour_pa

    def advance(self, seconds, outside_c, heating):
        """Let time pass; `heating` is the part of it, 0 to 1, that the heater was on."""
        goal = outside_c + self.heater_lift_k * heating
        rest = math.exp(-seconds / self.time_constant_s)
        self.temperature_c = goal + (self.temperature_c - goal) * rest

    def humidity_percent(self):
        part = self._vapour_pa / saturation_pressure_pa(self.temperature_c)
        return min(max(100 * part, 3.0), 97.0)
