"""A board's configuration judged on the host: as the board would judge it, copy by copy."""

import json
import sys

import pytest
from doubles.keys import KEY

from host_tools import configuration
from host_tools.configuration import ConfigurationProblem

STRING = f"HostName=hub.azure-devices.net;DeviceId=d;SharedAccessKey={KEY}"
GOOD = {"version": 1, "connection_string": STRING, "wifi": {"ssid": "s", "password": "12345678"}}
X509 = {
    "connection_string": "HostName=h;DeviceId=d;x509=true",
    "certificate": "device.der",
    "private_key": "device.key.der",
}
DPS = {"host": "h", "id_scope": "0ne", "registration_id": "r", "key": KEY}


def copies(**contents):
    return {name.replace("_", "."): text.encode() for name, text in contents.items()}


def test_what_a_board_takes_is_taken():
    for content in (
        GOOD,
        {"version": 1},
        {"version": 1, **X509},
        {"version": 1, "provisioning": DPS},
        {"version": 1, "wifi": {"ssid": "open"}},
    ):
        configuration.check(content)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"connection_string": STRING[:-1]}, "SharedAccessKey is not base64"),
        ({"connection_string": "HostName=h;DeviceId=d"}, "no SharedAccessKey"),
        ({"connection_string": STRING.replace("hub.", "hub/")}, "HostName has a character"),
        (
            {"connection_string": f"HostName=h;SharedAccessKeyName=o;SharedAccessKey={KEY}"},
            "a service's connection string",
        ),
        ({"connection_string": "HostName=h;DeviceId=d;x509=true"}, "certificate: is missing"),
        ({"connection_string": "", "provisioning": {**DPS, "key": "AAAA"}}, "has 3 bytes"),
        ({"connection_string": "", "provisioning": {**DPS, "key": ""}}, "or a certificate"),
        ({"provisioning": DPS}, "exclude each other"),
        ({"wifi": {"ssid": "s", "password": "1234567"}}, "has 7 characters"),
        ({"wifi": {"password": "12345678"}}, "wifi.ssid: is missing"),
        ({"zones": [{"name": "a", "sensor": "dht22"}]}, "must be one of bme280"),
        ({"controls": {}}, 'did you mean "control"'),
        ({"version": 2}, "version"),
    ],
)
def test_what_a_board_refuses_is_refused_with_what_to_do_and_no_secret(changes, reason):
    with pytest.raises(ConfigurationProblem, match=reason) as caught:
        configuration.check({**GOOD, **changes})
    text = str(caught.value)
    assert "; " in text or "did you" in text
    assert KEY not in text
    assert "12345678" not in text


def test_the_copy_is_read_that_the_board_would_read():
    one, two = json.dumps(GOOD), json.dumps({"version": 1})
    newest = configuration.newest
    assert newest("config.json", {}) is None
    assert newest("config.json", {"config.json": one.encode()}) == GOOD
    assert newest("config.json", {"config.json.new": two.encode()}) == {"version": 1}
    both = {"config.json": one.encode(), "config.json.new": two.encode()}
    assert newest("config.json", both) == GOOD
    half = {"config.json": one[:20].encode(), "config.json.bak": two.encode()}
    assert newest("config.json", half) == {"version": 1}
    with pytest.raises(ConfigurationProblem, match=r"config\.json: is not JSON"):
        newest("config.json", {"config.json": one[:20].encode()})
    damaged = b'{"seal":"0123456789abcdef",' + one[1:].encode()
    with pytest.raises(ConfigurationProblem, match="the seal does not match"):
        newest("config.json", {"config.json": damaged})


def test_a_stored_configuration_with_a_bad_connection_string_can_be_replaced():
    content = {"version": 1, "connection_string": "rubbish"}
    assert configuration.newest("config.json", {"config.json": json.dumps(content).encode()})


def test_set_points():
    good = {"version": 1, "targets": {"thermostat1": 2100}}
    assert configuration.newest("setpoints.json", {}) is None
    configuration.check_set_points(good)
    with pytest.raises(ConfigurationProblem, match=r"targets\.thermostat1: must be"):
        configuration.check_set_points({"version": 1, "targets": {"thermostat1": 210000}})


def test_what_is_written_is_what_the_board_reads():
    data = configuration.encoded(GOOD)
    assert configuration.newest("config.json", {"config.json": data}) == GOOD
    with pytest.raises(ConfigurationProblem, match="a board takes"):
        configuration.encoded({"version": 1, "zones": ["x" * 9000]})


def test_the_files_that_it_names():
    content = {"version": 1, **X509, "root_certificates": ["a.der", "b.der"]}
    found = configuration.referenced_files(content)
    assert found == ["device.der", "device.key.der", "a.der", "b.der"]
    assert configuration.referenced_files({"version": 1}) == []


def test_the_firmware_stays_out_of_everybody_elses_way():
    configuration._firmware.cache_clear()
    kept = {name: sys.modules.get(name) for name in ("micropython", "system", "iothub.identity")}
    path = list(sys.path)
    configuration.check(GOOD)
    assert {name: sys.modules.get(name) for name in kept} == kept
    assert sys.path == path
