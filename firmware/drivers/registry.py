"""Which sensors there are: the name in the configuration, and the driver that it means.

A driver is imported when a zone names it, so one that is not in use costs no memory. A new
sensor is one line here.
"""

# kind: (module, class, usual address, what the board has it on)
_DRIVERS = {
    "bme280": ("drivers.bme280", "BME280", 0x76, "i2c"),
    "bmp280": ("drivers.bme280", "BME280", 0x76, "i2c"),
    "chip": ("drivers.chip", "Chip", None, "chip_temperature"),
    "ds18b20": ("drivers.ds18b20", "DS18B20", None, "one_wire"),
    "sht4x": ("drivers.sht4x", "SHT4x", 0x44, "i2c"),
}


def kinds():
    """The names that `open_sensor` knows, sorted."""
    return sorted(_DRIVERS)


def bus_opener(kind, board):
    """What makes a bus number the `bus` of `open_sensor`; it raises ValueError: no such bus."""
    found = getattr(board, _DRIVERS[kind][3])
    return (lambda number: found) if kind == "chip" else found


def open_sensor(kind, bus, address=None):
    """The driver for `kind` on `bus`; it does not touch the bus before its first `start()`, so
    a sensor that is absent today can appear tomorrow.

    Raises ValueError, naming the kinds there are.
    """
    if kind not in _DRIVERS:
        raise ValueError("sensor kind %r is not one of %s" % (kind, ", ".join(kinds())))
    module, name, usual_address, _ = _DRIVERS[kind]
    driver = getattr(__import__(module, None, None, (name,)), name)
    return driver(bus, usual_address if address is None else address)
