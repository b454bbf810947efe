"""The processor's own sensor: how warm the board is, not the room. For telemetry only.

Source: RP2040 data sheet §4.9.5, ESP32 family "Temperature sensor": a few degrees of error,
and 5 to 20 °C of the processor's own heat.
"""

from drivers.reading import NOT_MEASURED, SensorAbsent, SensorRangeError


class Chip:
    """`read()` answers °C, or raises OSError where there is no such sensor."""

    CONVERSION_MS = 1

    def __init__(self, read, address=None):
        self._read = read

    def start(self):
        pass

    def finish(self, reading):
        """Fill `reading`, or raise SensorError."""
        try:
            celsius = self._read()
        except OSError:
            raise SensorAbsent("this chip has no sensor of its own")
        if not -40 <= celsius <= 125:
            raise SensorRangeError("the chip's own sensor: %s C" % celsius)
        reading.fill(round(celsius * 100), NOT_MEASURED, NOT_MEASURED)
