"""The zones of the configuration file: which sensor and which relay belong to which component."""

from micropython import const
from system.configuration import ConfigurationError
from system.section import (
    checked_number,
    checked_switch,
    checked_text,
    expect_dict,
    fill,
    joined,
    refuse_unknown,
)

# As many as the largest board has relays for; the sample model names two
_MOST_ZONES = const(4)
_LONGEST_NAME = const(64)  # of a component. Source: DTDL v2, "name": 1 to 64 characters
_LETTERS = const(b"abcdefghijklmnopqrstuvwxyz")
_KEYS = const(
    (
        "name",
        "present",
        "sensor",
        "bus",
        "address",
        "calibration_c",
        "relay",
        "target_c",
    )
)
# A sensor that is off by more than 10 degrees is not to be calibrated but to be replaced; the
# bounds of the target are those of `control`, checked by the settings
_TEMPERATURES = const((("calibration_c", 0.0, -10, 10), ("target_c", 21.0, -100, 200)))


class Zone:
    """One room: its sensor, its relay (`relay` None: it only measures), its first set point."""

    def __init__(self, name, sensor, bus, relay):
        self.name = name
        self.present = True
        self.sensor = sensor
        self.bus = bus
        self.address = None
        self.calibration_centi_c = 0
        self.relay = relay
        self.target_centi_c = 2100


def zones_from(found, sensor_kinds=None):
    """The list of `Zone` that `found`, the file's "zones", describes.

    Raises ConfigurationError, also for two zones with one name, relay or sensor.
    """
    if not isinstance(found, list) or not 1 <= len(found) <= _MOST_ZONES:
        raise ConfigurationError("zones", "must be a list of 1 to %d zones" % _MOST_ZONES)
    zones = [_zone(one, "zones[%d]" % at, sensor_kinds) for at, one in enumerate(found)]
    _refuse_twins([zone.name for zone in zones], "name")
    fitted = [zone for zone in zones if zone.present]
    _refuse_twins([zone.relay for zone in fitted if zone.relay is not None], "relay")
    _refuse_twins([(zone.bus, zone.address, zone.sensor) for zone in fitted], "sensor on its bus")
    return zones


def _zone(found, path, sensor_kinds):
    refuse_unknown(expect_dict(found, path), _KEYS, path)
    for key in ("name", "sensor"):
        if key not in found:
            raise ConfigurationError(joined(path, key), "is missing")
    zone = Zone(_component(found["name"], joined(path, "name")), found["sensor"], 0, None)
    _check_sensor(zone.sensor, joined(path, "sensor"), sensor_kinds)
    zone.present = checked_switch(found.get("present", True), joined(path, "present"))
    zone.bus = checked_number(found.get("bus", 0), 0, 7, joined(path, "bus"))
    if found.get("address") is not None:
        zone.address = _address(zone.sensor, found["address"], joined(path, "address"))
    if found.get("relay") is not None:
        zone.relay = checked_number(found["relay"], 0, 15, joined(path, "relay"))
        if zone.sensor == "chip":
            raise ConfigurationError(
                joined(path, "relay"),
                "must be null, since the chip's own sensor does not feel the room",
                "take it away, or fit a sensor",
            )
    known = {row[0]: found[row[0]] for row in _TEMPERATURES if row[0] in found}
    fill(zone, _TEMPERATURES, known, path)
    return zone


def _address(kind, value, path):
    if kind == "chip":
        raise ConfigurationError(path, "must be null for the chip's own sensor")
    if kind != "ds18b20":
        # Source: NXP UM10204 §3.1.12: 0x00-0x07 and 0x78-0x7F are reserved
        return checked_number(value, 0x08, 0x77, path)
    digits = checked_text(value, path, 15).lower().encode()
    if len(digits) != 15 or digits[:3] != b"28-" or digits[3:].strip(b"0123456789abcdef"):
        raise ConfigurationError(path, "must be like 28-0000075a1b2c")
    return digits.decode()


def _component(value, path):
    """Source: DTDL v2, "name": letters, digits and underscores, a letter first."""
    checked_text(value, path, _LONGEST_NAME)
    allowed = _LETTERS
    for byte in value.lower().encode() or b"-":
        if byte not in allowed:
            raise ConfigurationError(path, "must be letters, digits and _, a letter first")
        allowed = _LETTERS + b"0123456789_"
    return value


def _check_sensor(kind, path, sensor_kinds):
    checked_text(kind, path, 32)
    if sensor_kinds is not None and kind not in sensor_kinds:
        raise ConfigurationError(path, "must be one of %s" % ", ".join(sorted(sensor_kinds)))


def _refuse_twins(values, what):
    for at, value in enumerate(values):
        if value in values[:at]:
            raise ConfigurationError("zones", "two zones have the same %s" % what)
