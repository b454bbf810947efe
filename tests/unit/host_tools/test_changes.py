"""What a board can be told: each form of identity, from options and from what people pipe in."""

import json

import pytest
from doubles.device_certificates import NOW, certificate, new_key, private
from doubles.keys import KEY

from host_tools import changes, device_certificate
from host_tools.changes import ProvisionError, from_text
from host_tools.credentials import CredentialError, Secret, device_key

STRING = f"HostName=hub.azure-devices.net;DeviceId=stove;SharedAccessKey={KEY}"
KEY_OF_STOVE = new_key()
STOVE = device_certificate.load(certificate(KEY_OF_STOVE, "stove"), private(KEY_OF_STOVE), NOW)


def text(content):
    return json.dumps(content).encode()


@pytest.fixture
def pair(tmp_path):
    (tmp_path / "stove.pem").write_bytes(certificate(KEY_OF_STOVE, "stove"))
    (tmp_path / "stove.key").write_bytes(private(KEY_OF_STOVE))
    (tmp_path / "stove.key").chmod(0o600)
    return {"certificate": "stove.pem", "private_key": "stove.key"}


def test_a_connection_string_alone(tmp_path):
    change = from_text(f"  {STRING}\n".encode(), tmp_path)
    assert change.members == {"connection_string": STRING}
    assert change.identity


def test_members_of_the_configuration(tmp_path):
    given = {"connection_string": STRING, "wifi": {"ssid": "s", "password": "12345678"}}
    change = from_text(text({"version": 1, "log_level": "debug", **given}), tmp_path)
    assert change.members == {"log_level": "debug", **given}
    assert change.identity
    assert not from_text(text({"log_level": "debug"}), tmp_path).identity


def test_a_hub_of_ones_own_brings_its_ca_and_its_port():
    change = changes.by_connection_string(Secret(STRING), b"ca", 18883)
    (name,) = change.files
    assert name.startswith("hub-ca-")
    assert change.members["root_certificates"] == [name]
    assert change.members["connection"] == {"port": 18883}
    assert "connection" not in changes.by_connection_string(Secret(STRING), b"ca").members


def test_a_certificate_lies_beside_the_configuration(tmp_path, pair):
    from_options = changes.by_certificate(STOVE, "hub.azure-devices.net")
    string = "HostName=hub.azure-devices.net;DeviceId=stove;x509=true"
    from_file = from_text(text({"connection_string": string, **pair}), tmp_path)
    for change in (from_options, from_file):
        assert change.members["connection_string"] == string
        names = [change.members["certificate"], change.members["private_key"]]
        assert [len(change.files[name]) > 100 for name in names] == [True, True]
        assert names[1] == names[0].replace(".der", ".key.der")
        assert change.identity


def test_another_certificate_has_another_name():
    other = new_key()
    again = device_certificate.load(certificate(other, "stove"), private(other), NOW)
    files = [set(changes.by_certificate(each, "h").files) for each in (STOVE, again)]
    assert not files[0] & files[1]


def test_the_key_of_a_group_stays_here(tmp_path):
    given = {"id_scope": "0ne", "registration_id": "stove", "group_key": KEY}
    change = from_text(text({"provisioning": given}), tmp_path)
    derived = device_key(Secret(KEY), "stove").reveal()
    assert change.members["provisioning"] == {
        "host": changes.DPS_HOST,
        "id_scope": "0ne",
        "registration_id": "stove",
        "key": derived,
    }
    assert KEY not in json.dumps(change.members)


def test_provisioning_by_a_key_of_its_own_or_a_certificate(tmp_path, pair):
    given = {"id_scope": "0ne", "registration_id": "stove", "host": "dps.example"}
    change = from_text(text({"provisioning": {**given, "key": KEY}}), tmp_path)
    assert change.members["provisioning"] == {**given, "key": KEY}
    change = from_text(text({"provisioning": given, **pair}), tmp_path)
    assert change.members["provisioning"] == given
    assert set(change.members) == {"provisioning", "certificate", "private_key"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xfe", "neither a connection string nor"),
        (b"no string", "neither a connection string nor"),
        (b"{", "neither a connection string nor"),
        (f"{STRING}\n{STRING}".encode(), "neither a connection string nor"),
        (text({"certificate": "stove.pem"}), "belong together"),
        (text({"private_key": 5, "certificate": "a"}), "belong together"),
        (text({"provisioning": "x"}), "not an object"),
        (text({"provisioning": {"id_scope": "0ne"}}), "registration_id is missing"),
        (text({"provisioning": {"registration_id": "r"}}), "id_scope is missing"),
        (text({"provisioning": {"id_scope": 5, "registration_id": "r"}}), "all of them texts"),
        (text({"provisioning": {"id_scop": "0ne"}}), "all of them texts"),
        (text({"provisioning": {"id_scope": "0ne", "registration_id": "r"}}), "one of key"),
        (
            text(
                {
                    "provisioning": {
                        "id_scope": "0ne",
                        "registration_id": "r",
                        "key": KEY,
                        "group_key": KEY,
                    }
                }
            ),
            "one of key",
        ),
        (
            text({"provisioning": {"id_scope": "0", "registration_id": "a b", "key": KEY}}),
            "registration id",
        ),
    ],
)
def test_what_cannot_be_understood_is_refused_without_repeating_it(tmp_path, content, reason):
    with pytest.raises(ProvisionError, match=reason) as caught:
        from_text(content, tmp_path)
    assert "; " in str(caught.value)
    assert KEY not in str(caught.value)


def test_a_certificate_without_a_hub_is_refused(tmp_path, pair):
    with pytest.raises(ProvisionError, match="needs a connection_string"):
        from_text(text(pair), tmp_path)


def test_a_key_file_that_others_may_read_is_refused(tmp_path, pair):
    (tmp_path / "stove.key").chmod(0o644)
    with pytest.raises(CredentialError, match="chmod 600"):
        from_text(text({"connection_string": "HostName=h", **pair}), tmp_path)


def test_names_have_to_be_the_certificates():
    with pytest.raises(ProvisionError, match="the certificate is for stove, and the device id"):
        changes.by_certificate(STOVE, "h", "oven")
    with pytest.raises(ProvisionError, match="registration id is oven"):
        changes.by_provisioning("0ne", "oven", STOVE)


def test_one_board_has_one_identity():
    one = changes.by_connection_string(Secret(STRING))
    with pytest.raises(ProvisionError, match="two identities"):
        one + one


def test_no_repr_shows_what_is_told():
    change = changes.by_connection_string(Secret(STRING), b"ca") + changes.wifi("s", Secret("pw1"))
    assert KEY not in repr(change)
    assert "pw1" not in repr(change)


def test_a_certificate_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CredentialError, match=r"gone\.pem cannot be read \(No such file .*path$"):
        changes.read_certificate(tmp_path / "gone.pem", tmp_path / "gone.key")
