"""A change brought onto a board: what stays, what goes, and a cable pulled at every step."""

import json

import pytest
from doubles.board_files import BoardFiles, Pulled
from doubles.device_certificates import NOW, certificate, new_key, private
from doubles.keys import KEY

from host_tools import changes, configuration, device_certificate, provision
from host_tools.changes import Change, ProvisionError
from host_tools.configuration import ConfigurationProblem
from host_tools.credentials import Secret

STRING = f"HostName=hub.azure-devices.net;DeviceId=stove;SharedAccessKey={KEY}"
LOCAL = f"HostName=10.0.0.1;DeviceId=stove;SharedAccessKey={KEY}"
WIFI = {"ssid": "home", "password": "12345678"}
ZONES = [{"name": "thermostat1", "sensor": "sht4x", "relay": 0}]
BEFORE = {
    "version": 1,
    "connection_string": LOCAL,
    "root_certificates": ["hub-ca-0123456789ab.der"],
    "connection": {"port": 18883, "keep_alive_s": 30},
    "zones": ZONES,
    "wifi": WIFI,
}


def stove():
    key = new_key()
    return device_certificate.load(certificate(key, "stove"), private(key), NOW)


def board(content=None, steps=None, **files):
    contents = {name.replace("_", "."): body for name, body in files.items()}
    if content is not None:
        contents["config.json"] = json.dumps(content).encode()
        for name in configuration.referenced_files(content):
            contents[name] = b"of the old one"
    return BoardFiles(contents, steps)


def provisioned(files, change):
    return provision.install(files, provision.read(files), change)


def test_a_bare_board_gets_what_it_is_told():
    files = board()
    told = provisioned(
        files,
        changes.by_connection_string(Secret(STRING)) + changes.wifi("home", Secret("12345678")),
    )
    assert provision.read(files) == {"version": 1, "connection_string": STRING, "wifi": WIFI}
    assert sorted(files.names()) == ["config.json"]
    assert told == [
        "connection_string: HostName=hub.azure-devices.net, DeviceId=stove",
        "wifi: ssid home, password",
    ]


def test_what_is_not_spoken_of_stays_and_the_former_identity_goes():
    files = board(BEFORE)
    provisioned(files, changes.by_connection_string(Secret(STRING)))
    assert provision.read(files) == {
        "version": 1,
        "connection_string": STRING,
        "connection": {"keep_alive_s": 30},
        "zones": ZONES,
        "wifi": WIFI,
    }
    assert sorted(files.names()) == ["config.json"]


def test_wifi_alone_leaves_the_identity():
    files = board(BEFORE)
    provisioned(files, changes.wifi("other", Secret("87654321")))
    assert provision.read(files) == {**BEFORE, "wifi": {"ssid": "other", "password": "87654321"}}


def test_roots_of_the_users_own_stay():
    files = board({**BEFORE, "root_certificates": ["hub-ca-0123456789ab.der", "mine.der"]})
    provisioned(files, changes.by_connection_string(Secret(STRING)))
    assert provision.read(files)["root_certificates"] == ["mine.der"]
    assert "mine.der" in files.names()


def test_every_identity_follows_every_other():
    made = [
        changes.by_connection_string(Secret(STRING)),
        changes.by_connection_string(Secret(LOCAL), b"ca", 18883),
        changes.by_certificate(stove(), "hub.azure-devices.net"),
        changes.by_provisioning("0ne", "stove", Secret(KEY)),
        changes.by_provisioning("0ne", "stove", stove()),
    ]
    for first in made:
        for second in made:
            files = board()
            provisioned(files, first)
            provisioned(files, second)
            alone = board()
            provisioned(alone, second)
            assert files.contents == alone.contents


def test_what_a_board_would_refuse_is_not_sent():
    files = board(BEFORE)
    before = dict(files.contents)
    for change in (
        changes.by_connection_string(Secret(STRING[:-1])),
        changes.wifi("home", Secret("short")),
        Change({"log_level": "loud"}),
        Change({"zones": [{"name": "a", "sensor": "x" * 9000}]}),
    ):
        with pytest.raises(ConfigurationProblem):
            provisioned(files, change)
        assert files.contents == before


def test_a_damaged_configuration_is_told_and_can_be_left_behind():
    files = board(config_json=b'{"version": 1, "wifi"')
    with pytest.raises(ConfigurationProblem, match="is not JSON"):
        provision.read(files)
    provision.install(files, None, changes.by_connection_string(Secret(STRING)))
    assert provision.read(files)["connection_string"] == STRING


def test_flash_that_does_not_keep_what_it_is_given_is_told():
    files = board()
    files.hash = lambda path: "0" * 64
    with pytest.raises(ProvisionError, match=r"not kept /config\.json as it was sent"):
        provisioned(files, changes.by_connection_string(Secret(STRING)))


def test_whenever_the_cable_is_pulled_it_is_the_old_or_the_new_and_a_rerun_succeeds():
    old = {**BEFORE, "connection_string": "HostName=h;DeviceId=stove;x509=true"}
    old |= {"certificate": "device-000000000000.der"}
    old |= {"private_key": "device-000000000000.key.der"}
    change = changes.by_certificate(stove(), "hub.azure-devices.net")
    whole = board(old)
    provisioned(whole, change)
    new = provision.read(whole)
    seen = []
    for steps in range(100):
        files = board(old, steps)
        try:
            provisioned(files, change)
        except Pulled:
            files.steps = None
        else:
            break
        found = provision.read(files)
        assert found in (old, new)
        seen.append(found == new)
        for name in configuration.referenced_files(found):
            expected = change.files.get(name, b"of the old one")
            assert files.contents[name] == expected
        provisioned(files, change)
        assert files.contents == whole.contents
    assert len(seen) > 9
    assert seen == sorted(seen)
    assert any(seen)
