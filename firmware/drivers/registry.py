"""Which sensors there are: the name in the configuration, and the driver that it means.

A driver is imported when a zone names it, so one that is not in use costs no memory. A new
sensor is one line here.
"""

# kind: (class, in the module of that name in lower case; what the board has the chip on)
_DRIVERS = {
    "bme280": ("BME280", "i2c"),
    "bmp280": ("BME280", "i2c"),
    "chip": ("Chip", "chip_temperature"),
    "ds18b20": ("DS18B20", "one_wire"),
    "sht4x": ("SHT4x", "i2c"),
}


def kinds():
    """The names that `open_sensor` knows, sorted."""
    return sorted(_DRIVERS)


def bus_opener(kind, board):
    """What makes a bus number the `bus` of `open_sensor`; it raises ValueError: no such bus."""
    found = getattr(board, _DRIVERS[kind][1])
    return (lambda number: found) if kind == "chip" else found


def open_sensor(kind, bus, address=None):
    """The driver for `kind` on `bus`; it does not touch the bus before its first `start()`, so
    a sensor that is absent today can appear tomorrow.

    Raises ValueError, naming the kinds there are.
    """
    if kind not in _DRIVERS:
        raise ValueError("sensor kind %r is not one of %s" % (kind, ", ".join(kinds())))
    name = _DRIVERS[kind][0]
    driver = getattr(__import__("drivers." + name.lower(), None, None, (name,)), name)
    return driver(bus) if address is None else driver(bus, address)
