"""Everything that can be tuned, with its unit and its reason, and the configuration file.

The file is one JSON object. Every member may be left out except `version`:

    {"version": 1,
     "connection_string": "HostName=...;DeviceId=...;SharedAccessKey=...",
     "certificate": "device.der",             the device's own and its key, DER files beside this
     "private_key": "device.key.der",         one; then the string is HostName=...;DeviceId=...;
                                              x509=true
     "provisioning": {"host": "global.azure-devices-provisioning.net", "id_scope": "0ne...",
                      "registration_id": "...", "key": "..."},    in place of a connection string;
                                              without "key": by certificate and private_key
     "root_certificates": ["hub-ca.der"],     DER files beside this one; none: Azure's own roots
     "wifi": {"ssid": "...", "password": "...",
              "country": "DE"},              whose radio rules hold; none: the port's default
     "ntp_servers": ["time.windows.com"],     up to 4, "name" or "name:port"; [] asks none; without
                                              it three public ones (none on a PC), see system/ntp
     "model": "dtmi:com:example:TemperatureController;1",
                                              or one of models/: the project's own, that also tells
                                              of heat, faults, alarms and humidity, is
                                              dtmi:thermostat_micropython:HeatingController;1
     "connectivity": "wifi",                  how the device reports to be connected
     "log_level": "info",                     debug, info, warning, error, off
     "zones": [{"name": "thermostat1",        the component of the model
                "present": true,              false: not fitted, and no fault
                "sensor": "sht4x",            bme280, bmp280, ds18b20, sht4x, or chip: the
                                              processor's own, for which relay must be null
                "bus": 0, "address": 68,      of I2C; of a ds18b20 one-wire, "28-0000075a1b2c";
                                              null: the chip's usual one, the only one there
                "calibration_c": 0.0,         added to what the sensor reads
                "relay": 0,                   null: this zone only measures; its polarity is
                                              the board's affair, see boards/README.md
                "target_c": 21.0}, ...],      until the cloud sets another
     "control": {...}, "telemetry": {...}, "connection": {...}, "supervision": {...}}

The members of the last four are the tables below; temperatures in °C. An unknown member is
refused, with the nearest that there is. `connection_string`, `wifi.password` and
`provisioning.key` are secrets: they are in no message of this module, and nothing here has a repr
that shows them.
"""

import json

from micropython import const
from system.store import ConfigurationError, Store

CONFIGURATION = "config.json"
# The numbers are those of `system.log`
_LEVELS = const(("debug", "info", "warning", "error", "off"))
# A key is named if it is so near to one that there is: letters more or less, another one is two
_MOST_ODD = const(5)
# What a component of a model may be called. Source: DTDL v2, "name"
_IN_NAMES = const(b"abcdefghijklmnopqrstuvwxyz0123456789_")

# Rows of four words each: key, default as in JSON, lowest, highest; of texts, lists and objects
# the bounds of the length. What has no default within its bounds must be there. A key that ends
# in `_c` is in °C in the file, and becomes the attribute `..._centi_c`, an int in 0.01 °C
TABLES = {
    "": (
        " version 0 1 1"
        ' connection_string "" 0 512'
        ' certificate "" 0 64'
        ' private_key "" 0 64'
        " provisioning {} 0 99"
        " root_certificates [] 0 4"
        " wifi {} 0 99"
        " ntp_servers [] 0 4"
        # Source: DTDL v2, "Digital Twin Model Identifier": at most 128 characters
        ' model "dtmi:com:example:TemperatureController;1" 1 128'
        ' connectivity "wifi" 0 32'
        ' log_level "info" 0 7'
        # As many as the largest board has relays for; the sample model names two
        ' zones [{"name":"thermostat1","sensor":"sht4x","relay":0},'
        '{"name":"thermostat2","sensor":"bme280","bus":1,"relay":1}] 1 4'
        " control {} 0 99"
        " telemetry {} 0 99"
        " connection {} 0 99"
        " supervision {} 0 99"
    ),
    "wifi": ' ssid "" 0 32 password "" 0 64 country "" 0 2',
    "provisioning": ' host "" 1 512 id_scope "" 1 512 registration_id "" 1 512 key "" 0 512',
    "zones": (
        # Source: DTDL v2, "name"
        ' name "" 1 64'
        " present true 0 1"
        ' sensor "" 1 32'
        " bus 0 0 7"
        # Source: NXP UM10204 §3.1.12: 0x00-0x07 and 0x78-0x7F are reserved
        " address null 8 119"
        # A sensor that is off by more than this is not to be calibrated but to be replaced
        " calibration_c 0.0 -10 10"
        " relay null 0 15"
        # Bounded by `control`
        " target_c 21.0 -100 200"
    ),
    "control": (
        # One look at every sensor, one decision. Slower chips convert in 10 ms; more often than
        # this warms a sensor by its own current
        " sample_period_ms 2000 200 10000"
        # Relays are decided upon this often even when no reading comes
        " tick_ms 1000 100 5000"
        # Heat on at target - hysteresis, off at target + hysteresis: a tenth of what people feel,
        # three times what a good sensor jitters
        " hysteresis_c 0.3 0.1 5.0"
        # Burners and compressors want to run, and to rest, once switched
        " minimum_on_s 120 0 3600"
        " minimum_off_s 180 0 3600"
        # Heat on below it whatever the cloud wants: pipes freeze in walls colder than the room
        " frost_limit_c 4.0 1.0 15.0"
        # Heat off above it whatever the cloud wants
        " ceiling_c 50.0 20.0 60.0"
        # Set points that are accepted; an installer narrows them to, say, 10 to 26
        " target_lowest_c 5.0 2.0 40.0"
        " target_highest_c 45.0 10.0 55.0"
        # A reading outside is a broken sensor, not a room
        " plausible_lowest_c -40.0 -55.0 0.0"
        " plausible_highest_c 80.0 50.0 125.0"
        # Without a good reading for so long the heat goes off; the promise is 30 s
        " sensor_lost_s 30 3 30"
        # ... or after so many bad ones in a row
        " bad_readings 3 1 10"
        # Alarm "warming while off": settled for so long after the heat went off (radiators stay
        # hot) ...
        " warming_settle_s 1800 60 7200"
        # ... the room rises by so much within so long. Sun and summer make 2 °C an hour, a heater
        # whose relay is stuck makes 3 and more
        " warming_rise_c 1.5 0.5 10.0"
        " warming_window_s 1800 300 7200"
        # Alarm "no warming while on": in so long not even so much warmer
        " no_warming_rise_c 0.3 0.1 5.0"
        " no_warming_window_s 7200 600 86400"
        # Alarm "on too long": a cold house is warm by then, or its heater too small
        " on_too_long_s 43200 1800 259200"
    ),
    "telemetry": (
        # A zone's temperature is sent this often ...
        " zone_period_s 60 1 86400"
        # ... and when it changed by so much ...
        " zone_delta_c 0.2 0.05 10.0"
        # ... but for a change never sooner than this: two zones make at most 4,320 messages a day,
        # with workingSet fewer than 5,000, of the 8,000 that Azure's free tier takes
        " zone_least_s 40 1 86400"
        " working_set_period_s 600 1 86400"
        # A line in the log about heap, messages and connection
        " stats_period_s 3600 1 86400"
    ),
    "connection": (
        # MQTT over TLS; Azure has no other
        " port 8883 1 65535"
        # The hub drops after 1.5 times this; 1177 is its most
        " keep_alive_s 60 5 1177"
        # Each renewal costs a reconnect
        " token_life_s 86400 60 2592000"
        # Of the life: hours to spare when the network is gone
        " token_renew_percent 80 50 95"
        # First retry within a second
        " backoff_base_ms 1000 100 60000"
        # A hub that is back is found in five minutes
        " backoff_cap_ms 300000 1000 3600000"
        # Name, TCP and TLS: a handshake alone takes 2 s
        " dial_timeout_ms 30000 1000 120000"
        # A packet once begun is whole by then
        " packet_timeout_ms 10000 1000 60000"
        # CONNACK, SUBACK, twin answers, PINGRESP
        " answer_timeout_ms 10000 1000 60000"
        # PUBACK: a throttled hub delays it
        " ack_timeout_ms 60000 1000 600000"
        # What renewal and leaving wait for
        " drain_timeout_ms 5000 100 60000"
        # Largest packet taken; a whole twin must fit
        " receive_bytes 4096 1024 65536"
        # Largest CONNECT, reported patch
        " send_bytes 2048 1024 65536"
        # Packets on their way at once; so many may arrive twice after a cut
        " window 4 1 16"
        # Largest telemetry message or command answer
        " packet_bytes 512 256 8192"
        # Waiting telemetry: about 40 messages
        " telemetry_bytes 6144 2048 262144"
        # Telemetry on flash when that is full, about 230 messages; 0: none, the oldest is dropped
        " spill_bytes 32768 0 1048576"
        # Waiting command answers, never displaced
        " answer_bytes 2048 1024 65536"
        # Largest reported patch, without its topic
        " report_bytes 1500 256 32768"
        # Of a cloud-to-device message
        " logged_bytes 80 0 200"
    ),
    "supervision": (
        # RP2040 takes 8388 at most; a TLS handshake of 2 s must fit with room to spare
        " watchdog_timeout_ms 8000 2000 8388"
        # Without a sign for so long, a task hangs: the watchdog is no longer fed. Bounded by
        # `control`; four of the slowest sensors take 3 s
        " control_limit_ms 7000 2000 30000"
        " network_limit_ms 60000 5000 600000"
        # With all tasks at work for so long the software is good, and the start was no bad one
        " up_after_s 10 1 600"
    ),
}

# By the type of a default: the types of its values, and what they must be
_KINDS = {
    bool: ((bool,), "true or false"),
    dict: ((dict,), "an object {{...}}"),
    str: ((str,), "a text of {} to {} characters"),
    list: ((list,), "a list of {} to {}"),
    int: ((int,), "a whole number from {} to {}"),
    float: ((int, float), "a number from {} to {}"),
    type(None): ((int, type(None)), "null or a whole number from {} to {}"),
}
# Of the slowest sensor there is, see drivers/ds18b20
_CONVERSION_MS = const(751)
# What must hold between them. The heat can be decided upon only if the limits lie in this order
_RULES = const(
    (
        "control plausible_lowest_c + 0 <= frost_limit_c",
        "control frost_limit_c + hysteresis_c <= target_lowest_c",
        "control target_lowest_c + 0 <= target_highest_c",
        "control target_highest_c + hysteresis_c <= ceiling_c",
        "control ceiling_c + 0 <= plausible_highest_c",
        "connection backoff_base_ms + 0 <= backoff_cap_ms",
        "connection packet_bytes + packet_bytes <= telemetry_bytes",
        "connection report_bytes + 256 <= send_bytes",
    )
)


class Section:
    """Attributes and nothing else, so that it keeps nothing of this module in the heap."""


def load(folder, sensor_kinds, log):
    """(settings, trouble): those of the configuration in `folder`, as far as it can be used.

    Of a file with a mistake what is said of the rooms, if that can be used. The defaults if there
    is no file, or nothing of it can be used. `trouble` is the ConfigurationError, or None.
    """
    read = []

    def validate(found):
        read.append(found)
        return checked(found, sensor_kinds)

    store = Store("%s/%s" % (folder, CONFIGURATION), validate=validate)
    try:
        found = store.load()
        if store.problem:
            log.warning("%s", store.problem)
            log.warning("using %s instead", store.source)
        if found is None:
            log.warning("there is no %s yet: running without a network", store.path)
        return validate(found) if found else defaults(), None
    except ConfigurationError as error:
        return _of_rooms(read[0] if read else {}, sensor_kinds), error


def _of_rooms(found, sensor_kinds):
    """A mistake elsewhere must not have another room's sensor switch a relay."""
    for names in (("version", "zones", "control"), ("version", "zones")):
        # The usual limit, or one that is enough for whatever `control` says
        for limit in ({}, {"control_limit_ms": 30000}):
            of_rooms = {name: found[name] for name in names if name in found}
            of_rooms["supervision"] = limit
            try:
                return checked(of_rooms, sensor_kinds)
            except ConfigurationError:
                pass  # the first mistake is told; this one comes when that is corrected
    return defaults()


def defaults():
    """The settings without a file: no connection."""
    return checked({"version": 1})


def checked(found, sensor_kinds=None):
    """The settings that the dict `found`, a configuration file, describes: a Section of Sections.

    `connection` has all that `iothub` and `pnp` want to know, `model_id` and `product` included.
    `sensor_kinds`, if given: the names of the drivers there are. Raises ConfigurationError,
    whose text names key, reason and range.
    """
    settings = _section("", found, "")
    model, level, control = settings.model, settings.log_level, settings.control
    if not model.startswith("dtmi:") or ";" not in model:
        raise ConfigurationError("model", "must be like dtmi:com:example:Thermostat;1")
    if level not in _LEVELS:
        raise ConfigurationError("log_level", "must be one of " + ", ".join(_LEVELS))
    for name in settings.root_certificates:
        _check_file_name(name, "root_certificates")
    for key in ("certificate", "private_key"):
        if key in found:
            _check_file_name(found[key], key)
    if bool(settings.certificate) != bool(settings.private_key):
        raise ConfigurationError("certificate", "and private_key belong together")
    if settings.provisioning and settings.connection_string:
        raise ConfigurationError("provisioning", "and connection_string exclude each other")
    country = settings.wifi.country
    if len(country) == 1 or country.upper() != country:
        raise ConfigurationError("wifi.country", "must be two capital letters, such as DE")
    for name in settings.ntp_servers:
        host, colon, port = ("" if _wrong(name, "", 1, 64) else name).partition(":")
        if not host or (colon and not port.encode().isdigit()):
            raise ConfigurationError(
                "ntp_servers", "must be like time.windows.com or 10.0.0.1:123"
            )
    for rule in _RULES:
        _check_rule(settings, rule)
    # A tick may be late by 0.5 s
    awaited_ms = control.sample_period_ms * control.bad_readings + 2 * control.tick_ms + 1000
    if awaited_ms > control.sensor_lost_s * 1000:
        raise ConfigurationError(
            "control.sensor_lost_s",
            "must be bad_readings x sample_period_ms + 2 x tick_ms + 1 s or more",
        )
    _check_zones(settings.zones, control, sensor_kinds)
    # One round of the slowest task, and as much as others may hold it up
    fitted = sum([zone.present for zone in settings.zones])
    round_ms = max(control.sample_period_ms + fitted * _CONVERSION_MS, control.tick_ms, 1000)
    if settings.supervision.control_limit_ms < round_ms + 1000:
        raise ConfigurationError(
            "supervision.control_limit_ms",
            "must be at least %d, for sample_period_ms, tick_ms and zones" % (round_ms + 1000),
        )
    if "ntp_servers" not in found:
        settings.ntp_servers = None
    settings.connection.model_id = model
    settings.connection.product = "thermostat-micropython/0.1"
    settings.log_level = 10 + 10 * _LEVELS.index(level)
    return settings


def _check_file_name(name, key):
    if _wrong(name, "", 1, 64) or "/" in name or name[0] == ".":
        raise ConfigurationError(key, "must name files that lie beside the configuration")


def _section(name, found, path):
    """What is `found` at `path`, by the rows of the table `name`."""
    reason = _wrong(found, {}, 0, 99)
    if reason:
        raise ConfigurationError(path, reason)
    section = Section()
    rows = TABLES[name].split()
    path = path and path + "."
    _refuse_unknown(found, rows[::4], path)
    for at in range(0, len(rows), 4):
        key = rows[at]
        default, lowest, highest = [json.loads(word) for word in rows[at + 1 : at + 4]]
        value = found.get(key, default)
        # On one wire an address is a text, of which the zone knows more
        is_text = key == "address" and isinstance(value, str)
        reason = "" if is_text else _wrong(value, default, lowest, highest)
        if reason:
            raise ConfigurationError(path + key, reason if key in found else "is missing")
        if key == "zones":
            value = [_section(key, zone, "zones[%d]" % at) for at, zone in enumerate(value)]
        elif type(default) is dict and (value or key != "provisioning"):
            inner = _section(key, value, path + key)
            value = value if key == "provisioning" else inner
        setattr(section, attribute(key), round(value * 100) if key.endswith("_c") else value)
    return section


def attribute(key):
    """What `key` of a file is called as an attribute."""
    return key[:-1] + "centi_c" if key.endswith("_c") else key


def _wrong(value, default, lowest, highest):
    """What is wrong with `value`, "" if nothing; never the value itself, it may be a secret."""
    kinds, what = _KINDS[type(default)]
    if type(value) in kinds:
        size = len(value) if type(value) in (str, list, dict) else value
        # A float that is no number compares false to everything, and so is refused too
        if size is None or lowest <= size <= highest:
            return ""
    return "must be " + what.format(lowest, highest)


def _refuse_unknown(found, known, path):
    # MicroPython's JSON has keys that are no texts
    for key in sorted([str(key) for key in found]):
        if key not in known:
            letters = key[:40].encode()
            # The nearest: whichever has most letters in common, and few others
            shared, nearest = max(
                [(2 * sum([c in k.encode() for c in letters]) - len(k), k) for k in known]
            )
            # Its JSON also takes a value for a key where a colon is missing: what is not nearly
            # a key may be a secret
            is_near = shared >= len(letters) - _MOST_ODD
            raise ConfigurationError(
                path + key[:24] if is_near else path[:-1],
                "unknown key",
                'did you mean "%s"? Correct it or take it away, then start again' % nearest,
            )


def _check_rule(settings, rule):
    """Raise ConfigurationError unless `rule`, one of _RULES, holds."""
    name, low, _, apart, _, high = rule.split()
    section = getattr(settings, name)
    most = getattr(section, attribute(high)) - (
        int(apart) if apart.isdigit() else getattr(section, attribute(apart))
    )
    if getattr(section, attribute(low)) > most:
        most = "%.2f" % (most / 100) if low.endswith("_c") else most
        raise ConfigurationError(
            "%s.%s" % (name, low), "must be at most %s, since %s" % (most, rule[len(name) + 1 :])
        )


def _check_zones(zones, control, sensor_kinds):
    lowest, highest = control.target_lowest_centi_c, control.target_highest_centi_c
    for at, zone in enumerate(zones):
        path = "zones[%d]." % at
        letters = zone.name.lower().encode()
        if letters.strip(_IN_NAMES) or not letters[:1].isalpha():
            raise ConfigurationError(
                path + "name", "must be letters, digits and _, a letter first"
            )
        if sensor_kinds and zone.sensor not in sensor_kinds:
            raise ConfigurationError(path + "sensor", "must be one of " + ", ".join(sensor_kinds))
        _check_address(zone, path)
        if not lowest <= zone.target_centi_c <= highest:
            bounds = "must be from %.2f to %.2f" % (lowest / 100, highest / 100)
            raise ConfigurationError(path + "target_c", bounds)
    fitted = [zone for zone in zones if zone.present]
    for what, values in (
        ("name", [zone.name for zone in zones]),
        ("relay", [zone.relay for zone in fitted if zone.relay is not None]),
        ("sensor on its bus", [(zone.bus, zone.address, zone.sensor) for zone in fitted]),
    ):
        if len(set(values)) < len(values):
            raise ConfigurationError("zones", "two zones have the same " + what)


def _check_address(zone, path):
    """By the kind of sensor; that of a DS18B20 is brought into lower case."""
    address = zone.address
    if zone.sensor == "ds18b20" and address is not None:
        zone.address = address = str(address).lower()
        digits = address.encode()
        if len(digits) != 15 or digits[:3] != b"28-" or digits[3:].strip(b"0123456789abcdef"):
            raise ConfigurationError(path + "address", "must be like 28-0000075a1b2c")
    elif isinstance(address, str):
        raise ConfigurationError(path + "address", _wrong(address, 0, 8, 119))
    if zone.sensor == "chip" and (address is not None or zone.relay is not None):
        raise ConfigurationError(
            path + ("relay" if address is None else "address"),
            "must be null, since the chip's own sensor does not feel the room",
            "take it away, or fit a sensor",
        )
