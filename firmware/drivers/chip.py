"""The processor's own sensor: how warm the board is, not the room. For telemetry only.

Source: RP2040 data sheet §4.9.5, ESP32 family "Temperature sensor": a few degrees of error,
and 5 to 20 °C of the processor's own heat.
"""

from drivers.reading import NOT_MEASURED, Sensor, SensorAbsent


class Chip(Sensor):
    """`read()` answers °C, or raises OSError where there is no such sensor."""

    CONVERSION_MS = 1

    def __init__(self, read, address=None):
        super().__init__(read, "the chip's own sensor")

    def _collect(self, reading):
        try:
            celsius = self.bus()
        except OSError:
            self._raise(SensorAbsent, "there is none")
        self._check(celsius, -40, 125, "C")
        reading.fill(round(celsius * 100), NOT_MEASURED, NOT_MEASURED)
