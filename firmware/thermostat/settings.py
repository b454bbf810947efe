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

from micropython import const
from system.configuration import ConfigurationError
from system.section import (
    Section,
    checked_number,
    checked_text,
    expect_dict,
    fill,
    refuse_unknown,
)

from thermostat.zones import Zone, zones_from

_VERSION = const(1)
_LONGEST_DTMI = const(128)  # Source: DTDL v2, "Digital Twin Model Identifier" of an interface

# The numbers are those of `system.log`
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "off": 50}

# (key, default, lowest, highest)
CONTROL = (
    # One look at every sensor, one decision. Slower chips convert in 10 ms; more often than this
    # warms a sensor by its own current
    ("sample_period_ms", 2000, 200, 10000),
    # Relays are decided upon this often even when no reading comes
    ("tick_ms", 1000, 100, 5000),
    # Heat on at target - hysteresis, off at target + hysteresis: a tenth of what people feel,
    # three times what a good sensor jitters
    ("hysteresis_c", 0.3, 0.1, 5.0),
    # Burners and compressors want to run, and to rest, once switched
    ("minimum_on_s", 120, 0, 3600),
    ("minimum_off_s", 180, 0, 3600),
    # Heat on below it whatever the cloud wants: pipes freeze in walls colder than the room
    ("frost_limit_c", 4.0, 1.0, 15.0),
    # Heat off above it whatever the cloud wants
    ("ceiling_c", 50.0, 20.0, 60.0),
    # Set points that are accepted; an installer narrows them to, say, 10 to 26
    ("target_lowest_c", 5.0, 2.0, 40.0),
    ("target_highest_c", 45.0, 10.0, 55.0),
    # A reading outside is a broken sensor, not a room
    ("plausible_lowest_c", -40.0, -55.0, 0.0),
    ("plausible_highest_c", 80.0, 50.0, 125.0),
    # Without a good reading for so long the heat goes off; the promise is 30 s
    ("sensor_lost_s", 30, 3, 30),
    # ... or after so many bad ones in a row
    ("bad_readings", 3, 1, 10),
    # Alarm "warming while off": settled for so long after the heat went off (radiators stay
    # hot) ...
    ("warming_settle_s", 1800, 60, 7200),
    # ... the room rises by so much within so long. Sun and summer make 2 °C an hour, a heater
    # whose relay is stuck makes 3 and more
    ("warming_rise_c", 1.5, 0.5, 10.0),
    ("warming_window_s", 1800, 300, 7200),
    # Alarm "no warming while on": in so long not even so much warmer
    ("no_warming_rise_c", 0.3, 0.1, 5.0),
    ("no_warming_window_s", 7200, 600, 86400),
    # Alarm "on too long": a cold house is warm by then, or its heater too small
    ("on_too_long_s", 43200, 1800, 259200),
)

TELEMETRY = (
    # A zone's temperature is sent this often ...
    ("zone_period_s", 60, 1, 86400),
    # ... and when it changed by so much ...
    ("zone_delta_c", 0.2, 0.05, 10.0),
    # ... but for a change never sooner than this: two zones make at most 4,320 messages a day,
    # with workingSet fewer than 5,000, of the 8,000 that Azure's free tier takes
    ("zone_least_s", 40, 1, 86400),
    ("working_set_period_s", 600, 1, 86400),
    # A line in the log about heap, messages and connection
    ("stats_period_s", 3600, 1, 86400),
)

CONNECTION = (
    ("port", 8883, 1, 65535),  # MQTT over TLS; Azure has no other
    ("keep_alive_s", 60, 5, 1177),  # the hub drops after 1.5 times this; 1177 is its most
    ("token_life_s", 86400, 60, 2592000),  # each renewal costs a reconnect
    ("token_renew_percent", 80, 50, 95),  # of the life: hours to spare when the network is gone
    ("backoff_base_ms", 1000, 100, 60000),  # first retry within a second
    ("backoff_cap_ms", 300000, 1000, 3600000),  # a hub that is back is found in five minutes
    ("dial_timeout_ms", 30000, 1000, 120000),  # name, TCP and TLS: a handshake alone takes 2 s
    ("packet_timeout_ms", 10000, 1000, 60000),  # a packet once begun is whole by then
    ("answer_timeout_ms", 10000, 1000, 60000),  # CONNACK, SUBACK, twin answers, PINGRESP
    ("ack_timeout_ms", 60000, 1000, 600000),  # PUBACK: a throttled hub delays it
    ("drain_timeout_ms", 5000, 100, 60000),  # what renewal and leaving wait for
    ("receive_bytes", 4096, 1024, 65536),  # largest packet taken; a whole twin must fit
    ("send_bytes", 2048, 1024, 65536),  # largest CONNECT, reported patch
    ("window", 4, 1, 16),  # packets on their way at once; so many may arrive twice after a cut
    ("packet_bytes", 512, 256, 8192),  # largest telemetry message or command answer
    ("telemetry_bytes", 6144, 2048, 262144),  # waiting telemetry: about 40 messages
    ("answer_bytes", 2048, 1024, 65536),  # waiting command answers, never displaced
    ("report_bytes", 1500, 256, 32768),  # largest reported patch, without its topic
    ("logged_bytes", 80, 0, 200),  # of a cloud-to-device message
)

SUPERVISION = (
    # RP2040 takes 8388 at most; a TLS handshake of 2 s must fit with room to spare
    ("watchdog_timeout_ms", 8000, 2000, 8388),
    # Without a sign for so long, a task hangs: the watchdog is no longer fed
    ("control_limit_ms", 6000, 1000, 30000),
    ("network_limit_ms", 60000, 5000, 600000),
    # With all tasks at work for so long the software is good, and the start was no bad one
    ("up_after_s", 10, 1, 600),
)

_TOP = const(
    (
        "version",
        "connection_string",
        "certificate",
        "private_key",
        "provisioning",
        "root_certificates",
        "wifi",
        "ntp_servers",
        "model",
        "connectivity",
        "log_level",
        "zones",
        "control",
        "telemetry",
        "connection",
        "supervision",
    )
)


class Wifi:
    def __init__(self, ssid="", password="", country=""):
        self.ssid = ssid
        self.password = password
        self.country = country


class Settings:
    """As made: the defaults, without a connection. `connection` has all that `iothub` and `pnp`
    want to know, `model_id` and `product` included."""

    def __init__(self):
        self.connection_string = ""
        self.certificate = self.private_key = ""
        self.provisioning = {}
        self.root_certificates = []
        self.wifi = Wifi()
        self.ntp_servers = None
        self.connectivity = "wifi"
        self.log_level = _LEVELS["info"]
        self.zones = [Zone("thermostat1", "sht4x", 0, 0), Zone("thermostat2", "bme280", 1, 1)]
        self.control = Section(CONTROL)
        self.telemetry = Section(TELEMETRY)
        self.connection = Section(CONNECTION)
        self.connection.model_id = "dtmi:com:example:TemperatureController;1"
        self.connection.product = "thermostat-micropython/0.1"
        self.supervision = Section(SUPERVISION)

    @classmethod
    def from_dict(cls, found, sensor_kinds=None):
        """The settings that a configuration file describes.

        `sensor_kinds`, if given: the names of the drivers there are. Raises ConfigurationError,
        whose text names key, reason and range.
        """
        settings = cls()
        refuse_unknown(expect_dict(found, ""), _TOP, "")
        if "version" not in found:
            raise ConfigurationError("version", "is missing", "put %d" % _VERSION)
        checked_number(found["version"], _VERSION, _VERSION, "version")
        settings._take_texts(found)
        for name, rows in (
            ("control", CONTROL),
            ("telemetry", TELEMETRY),
            ("connection", CONNECTION),
            ("supervision", SUPERVISION),
        ):
            fill(getattr(settings, name), rows, found.get(name, {}), name)
        _check_control(settings.control)
        _check_connection(settings.connection)
        if "zones" in found:
            settings.zones = zones_from(found["zones"], sensor_kinds)
        _check_targets(settings)
        return settings

    def _take_texts(self, found):
        self.connection_string = checked_text(
            found.get("connection_string", ""), "connection_string"
        )
        self.certificate = _file_name(found, "certificate")
        self.private_key = _file_name(found, "private_key")
        if bool(self.certificate) != bool(self.private_key):
            raise ConfigurationError("certificate", "and private_key belong together")
        self.provisioning = _provisioning(found.get("provisioning", {}))
        if self.provisioning and self.connection_string:
            raise ConfigurationError("provisioning", "and connection_string exclude each other")
        self.connectivity = checked_text(
            found.get("connectivity", self.connectivity), "connectivity", 32
        )
        self.connection.model_id = _dtmi(found.get("model", self.connection.model_id))
        self.log_level = _level(found.get("log_level", "info"))
        self.root_certificates = _file_names(found.get("root_certificates", []))
        if "ntp_servers" in found:
            self.ntp_servers = _servers(found["ntp_servers"])
        wifi = expect_dict(found.get("wifi", {}), "wifi")
        refuse_unknown(wifi, ("ssid", "password", "country"), "wifi")
        self.wifi = Wifi(
            checked_text(wifi.get("ssid", ""), "wifi.ssid", 32),
            checked_text(wifi.get("password", ""), "wifi.password", 64),
            _country(wifi.get("country", "")),
        )


def _country(value):
    if len(checked_text(value, "wifi.country", 2)) == 1 or value.upper() != value:
        raise ConfigurationError("wifi.country", "must be two capital letters, such as DE")
    return value


def _dtmi(value):
    checked_text(value, "model", _LONGEST_DTMI)
    if not value.startswith("dtmi:") or ";" not in value:
        raise ConfigurationError("model", "must be like dtmi:com:example:Thermostat;1")
    return value


def _level(value):
    if checked_text(value, "log_level") not in _LEVELS:
        raise ConfigurationError(
            "log_level", "must be one of %s" % ", ".join(sorted(_LEVELS, key=_LEVELS.get))
        )
    return _LEVELS[value]


def _file_names(value):
    if not isinstance(value, list) or len(value) > 4:
        raise ConfigurationError("root_certificates", "must be a list of at most 4 file names")
    for name in value:
        _check_file_name(name, "root_certificates")
    return list(value)


def _file_name(found, key):
    if key in found:
        _check_file_name(found[key], key)
    return found.get(key, "")


def _check_file_name(name, key):
    checked_text(name, key, 64)
    if not name or "/" in name or name.startswith("."):
        raise ConfigurationError(key, "must name files that lie beside the configuration")


def _provisioning(value):
    known = ("host", "id_scope", "registration_id", "key")
    refuse_unknown(expect_dict(value, "provisioning"), known, "provisioning")
    for key in known:
        if value and key != "key" and not value.get(key):
            raise ConfigurationError("provisioning." + key, "is missing")
        checked_text(value.get(key, ""), "provisioning." + key)
    return value


def _servers(value):
    if not isinstance(value, list) or len(value) > 4:
        raise ConfigurationError("ntp_servers", "must be a list of at most 4 names")
    for name in value:
        host, colon, port = checked_text(name, "ntp_servers", 64).partition(":")
        if not host or (colon and not port.encode().isdigit()):
            raise ConfigurationError(
                "ntp_servers", "must be like time.windows.com or 10.0.0.1:123"
            )
    return value


def _check_control(control):
    """Heat can be decided upon only if the limits lie in this order, hysteresis apart."""
    band = control.hysteresis_centi_c
    _ordered(control, "plausible_lowest", 0, "frost_limit")
    _ordered(control, "frost_limit", band, "target_lowest")
    _ordered(control, "target_lowest", 0, "target_highest")
    _ordered(control, "target_highest", band, "ceiling")
    _ordered(control, "ceiling", 0, "plausible_highest")
    if control.sample_period_ms * control.bad_readings > control.sensor_lost_s * 1000:
        raise ConfigurationError(
            "control.sensor_lost_s", "must be bad_readings x sample_period_ms or more"
        )


def _ordered(control, lower, apart, upper):
    low = getattr(control, lower + "_centi_c")
    high = getattr(control, upper + "_centi_c")
    if low + apart > high:
        reason = "must be at most %.2f (%s_c%s), not %.2f" % (
            (high - apart) / 100,
            upper,
            " - hysteresis_c" if apart else "",
            low / 100,
        )
        raise ConfigurationError("control.%s_c" % lower, reason)


def _check_connection(connection):
    if connection.backoff_base_ms > connection.backoff_cap_ms:
        raise ConfigurationError("connection.backoff_base_ms", "must be backoff_cap_ms or less")
    if connection.telemetry_bytes < 2 * connection.packet_bytes:
        raise ConfigurationError("connection.telemetry_bytes", "must be 2 x packet_bytes or more")
    if connection.send_bytes < connection.report_bytes + 256:
        raise ConfigurationError("connection.send_bytes", "must be report_bytes + 256 or more")


def _check_targets(settings):
    lowest = settings.control.target_lowest_centi_c
    highest = settings.control.target_highest_centi_c
    for at, zone in enumerate(settings.zones):
        if not lowest <= zone.target_centi_c <= highest:
            raise ConfigurationError(
                "zones[%d].target_c" % at,
                "must be from %.2f to %.2f, not %.2f"
                % (lowest / 100, highest / 100, zone.target_centi_c / 100),
            )
