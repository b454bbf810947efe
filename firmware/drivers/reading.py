"""What one measurement gave, in integers that fit the small ints of a 32-bit board."""

from micropython import const

# Below absolute zero's own figure nothing is possible, so a Reading that no driver has filled
# can never pass for a cold room.
NO_TEMPERATURE = const(-27315)
NOT_MEASURED = const(-1)


class Reading:
    """Made once per sensor and filled by `finish()` again and again.

    temperature_centi_c     0.01 °C; NO_TEMPERATURE until the first measurement
    humidity_centi_percent  0.01 % relative humidity; -1: this chip does not measure it
    pressure_pa             pascal; -1: this chip does not measure it
    """

    def __init__(self):
        self.temperature_centi_c = NO_TEMPERATURE
        self.humidity_centi_percent = NOT_MEASURED
        self.pressure_pa = NOT_MEASURED

    def fill(self, temperature_centi_c, humidity_centi_percent, pressure_pa):
        self.temperature_centi_c = temperature_centi_c
        self.humidity_centi_percent = humidity_centi_percent
        self.pressure_pa = pressure_pa
