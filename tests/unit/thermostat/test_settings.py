import json
import os

from doubles import folders
from doubles.log import FakeLog
from expect import raises
from system.store import ConfigurationError, Store
from thermostat.settings import TABLES, Section, attribute, checked, defaults, load

SECRET = "c2VjcmV0LWtleQ"
ZONE = {"name": "thermostat1", "sensor": "sht4x"}


def rows(name):
    """[(key, default, lowest, highest)] of a table of numbers."""
    words = TABLES[name].split()
    numbers = [word if at % 4 == 0 else json.loads(word) for at, word in enumerate(words)]
    return [tuple(numbers[at : at + 4]) for at in range(0, len(words), 4)]


NUMBERS = {name: rows(name) for name in ("control", "telemetry", "connection", "supervision")}


def settings_of(**members):
    return checked(dict({"version": 1}, **members))


def refused(text, **members):
    with raises(ConfigurationError, text):
        settings_of(**members)


def test_the_smallest_file_gives_the_defaults():
    settings = settings_of()
    assert [zone.name for zone in settings.zones] == ["thermostat1", "thermostat2"]
    assert settings.control.hysteresis_centi_c == 30
    assert settings.control.target_lowest_centi_c == 500
    assert settings.control.target_highest_centi_c == 4500
    assert settings.connection.token_life_s == 86400
    assert settings.connection.model_id == "dtmi:com:example:TemperatureController;1"
    assert settings.connectivity == "wifi"
    assert settings.zones[0].target_centi_c == 2100


def test_the_country_of_the_radio():
    assert settings_of(wifi={"ssid": "s"}).wifi.country == ""
    assert settings_of(wifi={"ssid": "s", "country": "DE"}).wifi.country == "DE"
    for country in ("D", "de", "DEU", 49):
        refused("wifi.country", wifi={"ssid": "s", "country": country})


def test_the_defaults_would_be_accepted_from_a_file():
    members = {name: {row[0]: row[1] for row in rows} for name, rows in NUMBERS.items()}
    settings = settings_of(**members)
    for name, rows in NUMBERS.items():
        plain = defaults()
        for key in [row[0] for row in rows]:
            key = attribute(key)
            assert getattr(getattr(settings, name), key) == getattr(getattr(plain, name), key)


def test_every_bound_of_every_number_holds():
    for name, rows in NUMBERS.items():
        for key, default, lowest, highest in rows:
            step = 0.01 if key.endswith("_c") else 1
            assert lowest <= default <= highest, key
            path = "%s.%s" % (name, key)
            for value in (lowest - step, highest + step, True, "1", None, [], {}, 10**30):
                refused(path, **{name: {key: value}})
            for value in (1e999, -1e999, 1e999 - 1e999):
                refused(path, **{name: {key: value}})
            if not key.endswith("_c"):
                refused("whole number", **{name: {key: float(default)}})


def test_whole_configuration():
    text = """{"version": 1, "connection_string": "HostName=h;DeviceId=d;SharedAccessKey=%s",
     "root_certificates": ["hub-ca.der"], "wifi": {"ssid": "s", "password": "%s"},
     "model": "dtmi:com:example:Thermostat;1", "connectivity": "ethernet", "log_level": "debug",
     "zones": [{"name": "thermostat1", "present": true, "sensor": "bme280", "bus": 1,
                "address": 119, "calibration_c": -0.25, "relay": 3,
                "target_c": 19.5},
               {"name": "thermostat2", "present": false, "sensor": "sht4x"}],
     "control": {"hysteresis_c": 0.5, "minimum_on_s": 0}, "telemetry": {"zone_period_s": 5},
     "connection": {"port": 28883}, "supervision": {"network_limit_ms": 10000}}"""
    settings = checked(json.loads(text % (SECRET, SECRET)), ("bme280", "sht4x"))
    zone = settings.zones[0]
    assert (zone.sensor, zone.bus, zone.address, zone.relay) == ("bme280", 1, 119, 3)
    assert zone.calibration_centi_c == -25 and zone.target_centi_c == 1950
    assert not settings.zones[1].present and settings.zones[1].relay is None
    assert settings.control.hysteresis_centi_c == 50
    assert settings.connection.port == 28883
    assert settings.wifi.password == SECRET
    assert settings.log_level == 10


def test_an_unknown_key_is_refused_by_name_with_the_nearest():
    refused('wfi: unknown key; did you mean "wifi"?', wfi={})
    refused(
        'control.hysteresis: unknown key; did you mean "hysteresis_c"?', control={"hysteresis": 1}
    )
    refused('did you mean "relay"?', zones=[dict(ZONE, relais=1)])
    refused('wifi.pass_word: unknown key; did you mean "password"?', wifi={"pass_word": SECRET})


def test_an_error_says_key_range_and_what_to_do():
    with raises(ConfigurationError) as caught:
        settings_of(control={"hysteresis_c": 9})
    caught.error.file = "config.json"
    assert str(caught.error) == (
        "config.json: control.hysteresis_c: must be a number from 0.1 to 5.0; "
        "correct the file and start again"
    )


def test_version_is_demanded():
    with raises(ConfigurationError, "version: is missing"):
        checked({})
    for version in (0, 2, "1", 1.0, None):
        with raises(ConfigurationError, "version"):
            checked({"version": version})


def test_limits_that_cross_are_refused():
    refused("control.frost_limit_c: must be at most 4.70", control={"frost_limit_c": 5})
    refused("control.target_highest_c", control={"target_highest_c": 45, "ceiling_c": 45})
    refused("control.target_lowest_c", control={"target_lowest_c": 30, "target_highest_c": 20})
    refused("control.frost_limit_c", control={"hysteresis_c": 2})
    refused("sensor_lost_s", control={"sample_period_ms": 5000, "sensor_lost_s": 10})
    refused("zones[0].target_c", control={"target_lowest_c": 22})
    refused("zones[0].target_c", zones=[dict(ZONE, target_c=45.01)])
    refused(
        "connection.backoff_base_ms", connection={"backoff_cap_ms": 1000, "backoff_base_ms": 1001}
    )
    refused("telemetry_bytes", connection={"packet_bytes": 8192})
    refused("send_bytes", connection={"report_bytes": 2000})


def test_a_limit_that_a_task_at_work_would_pass_is_refused():
    text = "supervision.control_limit_ms: must be at least %d"
    zones = [dict(ZONE, name="z%d" % at, bus=at, relay=at) for at in range(4)]
    for least, control, limits, members in (
        (10502, {"sample_period_ms": 8000}, {"control_limit_ms": 6000}, {}),
        (11502, {"sample_period_ms": 9000, "bad_readings": 2}, {"watchdog_timeout_ms": 2000}, {}),
        (6000, {"tick_ms": 5000}, {"control_limit_ms": 2000}, {}),
        (6004, {}, {"control_limit_ms": 6003}, {"zones": zones}),
        (4502, {}, {"control_limit_ms": 4501}, {}),
        (3751, {}, {"control_limit_ms": 3750}, {"zones": [ZONE, dict(zones[0], present=False)]}),
    ):
        refused(text % least, control=control, supervision=limits, **members)
        limits["control_limit_ms"] = least
        settings_of(control=control, supervision=limits, **members)
    settings_of(control={"sample_period_ms": 8000}, supervision={"control_limit_ms": 12000})
    settings_of(zones=zones)


def test_zones_are_checked():
    refused("zones", zones=[])
    refused("zones", zones={})
    refused("zones[0]", zones=["thermostat1"])
    refused("zones[0].name: is missing", zones=[{"sensor": "sht4x"}])
    refused("zones[0].sensor: is missing", zones=[{"name": "a"}])
    for name in ("", "1a", "_a", "a-b", "a b", "a*b", "\u00e9", "a" * 65, 5, None):
        refused("zones[0].name", zones=[dict(ZONE, name=name)])
    for key, values in (
        ("present", (0, "yes", None)),
        ("bus", (-1, 8, "0", None)),
        ("address", (0, 7, 120, "0x44", True)),
        ("relay", (-1, 16, "0", True)),
        ("calibration_c", (-10.1, 10.1, "0", None)),
        ("target_c", ("21", None, True)),
    ):
        for value in values:
            refused("zones[0].%s" % key, zones=[dict(ZONE, **{key: value})])


def test_a_one_wire_address_is_the_chips_number():
    wire = {"name": "thermostat1", "sensor": "ds18b20"}
    zones = settings_of(
        zones=[
            dict(wire, address="28-0000075A1B2C"),
            dict(wire, name="b", address="28-0000075a1b2d", relay=0),
            dict(wire, name="c", address=None, bus=1),
        ]
    ).zones
    assert [zone.address for zone in zones] == ["28-0000075a1b2c", "28-0000075a1b2d", None]
    for address in (40, "", "28", "28-0000075a1b2", "28-0000075a1b2c0", "10-0000075a1b2c"):
        refused("zones[0].address", zones=[dict(wire, address=address)])
    for address in ("28-0000075a1b2g", "28-000g075a1b2c", "28:0000075a1b2c", True, []):
        refused("zones[0].address", zones=[dict(wire, address=address)])
    refused("same sensor", zones=[wire, dict(wire, name="b")])
    refused("zones[0].address", zones=[dict(ZONE, address="28-0000075a1b2c")])


def test_the_chips_own_sensor_only_measures():
    chip = {"name": "thermostat1", "sensor": "chip"}
    assert settings_of(zones=[chip]).zones[0].relay is None
    with raises(ConfigurationError) as caught:
        settings_of(zones=[dict(chip, relay=0)])
    assert str(caught.error) == (
        "zones[0].relay: must be null, since the chip's own sensor does not feel "
        "the room; take it away, or fit a sensor"
    )
    refused("zones[0].address", zones=[dict(chip, address=64)])
    refused("same sensor", zones=[chip, dict(chip, name="b")])


def test_two_zones_share_neither_name_relay_nor_sensor():
    other = {"name": "thermostat2", "sensor": "sht4x", "bus": 1}
    settings_of(zones=[dict(ZONE, relay=0), dict(other, relay=1)])
    refused("same name", zones=[ZONE, dict(other, name="thermostat1")])
    refused("same relay", zones=[dict(ZONE, relay=1), dict(other, relay=1)])
    refused("same sensor", zones=[ZONE, dict(other, bus=0)])
    settings_of(zones=[ZONE, dict(other, bus=0, present=False)])


def test_a_sensor_without_a_driver_is_refused():
    with raises(ConfigurationError, "zones[0].sensor: must be one of bme280, sht4x"):
        checked({"version": 1, "zones": [{"name": "a", "sensor": "dht22"}]}, ("bme280", "sht4x"))


def test_texts_are_checked():
    refused("model", model="Thermostat")
    refused("model", model=5)
    refused("log_level: must be one of debug, info, warning, error, off", log_level="loud")
    refused("connectivity", connectivity=None)
    refused("root_certificates", root_certificates="ca.der")
    for name in ("", "../ca.der", "/ca.der", ".ca", "a/b", 5):
        refused("root_certificates", root_certificates=[name])
    for name in ("zones", "control", "telemetry", "connection", "supervision", "wifi"):
        refused(name, **{name: 5})
        refused(name, **{name: None})


def test_a_certificate_has_a_key_and_both_lie_beside_the_file():
    settings = settings_of(certificate="device.der", private_key="device.key.der")
    assert (settings.certificate, settings.private_key) == ("device.der", "device.key.der")
    assert settings_of().certificate == ""
    refused("certificate: and private_key belong together", certificate="device.der")
    refused("certificate: and private_key belong together", private_key="device.key.der")
    for name in ("", "../a", "/a", ".a", 5, None):
        refused("certificate", certificate=name, private_key="device.key.der")
        refused("private_key", private_key=name, certificate="device.der")


def test_provisioning_takes_the_place_of_a_connection_string():
    whole = {"host": "h", "id_scope": "0ne1", "registration_id": "r", "key": SECRET}
    assert settings_of(provisioning=whole).provisioning == whole
    for name in ("host", "id_scope", "registration_id"):
        others = {key: whole[key] for key in whole if key != name}
        refused("provisioning.%s: is missing" % name, provisioning=others)
        refused("provisioning.%s" % name, provisioning=dict(whole, **{name: ""}))
        refused("provisioning.%s" % name, provisioning=dict(whole, **{name: 5}))
    refused("provisioning.id_scop: unknown key", provisioning=dict(whole, id_scop="x"))
    refused("exclude each other", provisioning=whole, connection_string="HostName=h")


def test_time_servers_are_names():
    assert settings_of().ntp_servers is None
    for names in ([], ["time.windows.com"], ["10.0.0.1:12300", "a", "b", "c"]):
        assert settings_of(ntp_servers=names).ntp_servers == names
    for names in (None, "a", {}, [5], [""], [":123"], ["a:"], ["a:b"], ["a"] * 5, ["a" * 65]):
        refused("ntp_servers", ntp_servers=names)


def test_secrets_are_in_no_message_and_in_no_repr():
    settings = settings_of(connection_string=SECRET, wifi={"ssid": "s", "password": SECRET})
    for thing in (settings, settings.wifi, settings.connection):
        assert SECRET not in repr(thing) and SECRET not in str(thing)
    for members in (
        {"connection_string": SECRET * 50},
        {"connection_string": [SECRET]},
        {"wifi": {"password": SECRET * 9}},
        {"wifi": {"password": {"a": SECRET}}},
        {"wifi": SECRET},
        {"provisioning": {"key": SECRET}},
        {"provisioning": {"host": "h", "id_scope": "i", "registration_id": "r", "key": [SECRET]}},
        {"provisioning": SECRET},
        {"control": SECRET},
        {"control": {"hysteresis_c": SECRET}},
        {"model": SECRET},
        {"log_level": SECRET},
        {"zones": [dict(ZONE, name=SECRET + "-")]},
    ):
        with raises(ConfigurationError) as caught:
            settings_of(**members)
        assert SECRET not in str(caught.error) and SECRET not in repr(caught.error)


# Tests run side by side, and each may be the first
FOLDER = "build/tests/loading-%d" % int.from_bytes(os.urandom(3), "big")
PATH = FOLDER + "/config.json"


def load_text(text):
    """(settings, trouble, log) of a configuration with this text; None: there is no file."""
    folders.make(FOLDER)
    for name in os.listdir(FOLDER):
        if name.startswith("config.json"):
            os.remove(FOLDER + "/" + name)
    if text is not None:
        with open(PATH, "w") as file:
            file.write(text)
    log = FakeLog()
    settings, trouble = load(FOLDER, ["sht4x", "bme280"], log)
    return settings, trouble, log


def test_without_a_file_the_defaults_and_a_word_of_it():
    settings, trouble, log = load_text(None)
    assert trouble is None
    assert settings.control.tick_ms == 1000
    assert [zone.name for zone in settings.zones] == ["thermostat1", "thermostat2"]
    assert log.has("warning", "running without a network")


def test_what_the_file_says_is_used():
    zones = '"zones": [{"name": "hall", "sensor": "sht4x"}]'
    text = '{"version": 1, "control": {"tick_ms": 500}, %s}' % zones
    settings, trouble, _ = load_text(text)
    assert trouble is None
    assert settings.control.tick_ms == 500
    assert settings.zones[0].name == "hall"
    assert settings.wifi.ssid == ""


def test_a_file_that_cannot_be_used_leaves_the_defaults():
    for text in ("{", '{"version": 1, "colour": 3}', '{"version": 2}', "[]", ""):
        settings, trouble, _ = load_text(text)
        assert trouble is not None, text
        assert "config.json" in str(trouble), text
        assert settings.control.tick_ms == 1000


WIRING = """{"version": 1, "control": {%s}, %s, "zones": [
    {"name": "bath", "sensor": "bme280", "bus": 1, "relay": 0, "target_c": 18},
    {"name": "hall", "sensor": "sht4x", "bus": 0}]}"""
LIMITS = '"ceiling_c": 28, "target_highest_c": 25'


def wiring(settings):
    return [(zone.sensor, zone.bus, zone.relay) for zone in settings.zones]


def test_a_mistake_elsewhere_leaves_the_rooms_as_they_are_wired():
    slow = LIMITS + ', "sample_period_ms": 8000'
    for limits, mistake, limit_ms in (
        (LIMITS, '"telemetry": {"zone_perod_s": 60}', 7000),
        (slow, '"supervision": {"control_limit": 12000}', 30000),
    ):
        settings, trouble, _ = load_text(WIRING % (limits, mistake))
        assert wiring(settings) == [("bme280", 1, 0), ("sht4x", 0, None)]
        assert settings.zones[0].target_centi_c == 1800
        assert settings.control.ceiling_centi_c == 2800
        # No longer than it takes: so long a task may hang
        assert settings.supervision.control_limit_ms == limit_ms
        assert "unknown key" in str(trouble) and "did you mean" in str(trouble)
    # The same where the file was good for an earlier firmware, and sealed
    folders.make(FOLDER)
    Store(PATH).save(json.loads(WIRING % (LIMITS, '"colour": 3')))
    for name in ("/config.json", "/config.json.bak"):
        settings, trouble = load(FOLDER, ["sht4x", "bme280"], FakeLog())
        assert wiring(settings) == [("bme280", 1, 0), ("sht4x", 0, None)]
        assert "colour" in str(trouble)
        os.remove(FOLDER + name)


def test_a_mistake_in_the_limits_leaves_the_wiring():
    settings, trouble, _ = load_text(WIRING % ('"ceiling": 28', '"telemetry": {}'))
    assert wiring(settings) == [("bme280", 1, 0), ("sht4x", 0, None)]
    assert settings.control.ceiling_centi_c == 5000
    assert "control.ceiling: unknown key" in str(trouble)


def test_a_mistake_in_the_wiring_leaves_the_defaults():
    text = WIRING.replace("hall", "bath") % (LIMITS, '"telemetry": {}')
    settings, trouble, _ = load_text(text)
    assert wiring(settings) == wiring(defaults())
    assert settings.control.ceiling_centi_c == 5000
    assert "same name" in str(trouble)


def test_a_damaged_file_is_told_with_the_copy_that_is_used_instead():
    load_text('{"version": 1, "control": {"tick_ms": 500}}')
    with open(PATH + ".bak", "w") as file:
        file.write('{"version": 1, "control": {"tick_ms": 250}}')
    with open(PATH, "w") as file:
        file.write('{"version": 1, "control": {"tick')
    log = FakeLog()
    settings, trouble = load(FOLDER, ["sht4x", "bme280"], log)
    assert trouble is None
    assert settings.control.tick_ms == 250
    assert log.has("warning", "config.json: is not JSON")
    assert log.has("warning", "using %s.bak instead" % PATH)


def test_nothing_of_it_keeps_the_code_that_read_it():
    settings, _, _ = load_text(None)
    for thing in (settings, settings.control, settings.connection, settings.zones[0]):
        assert type(thing) is Section
