"""Authorities of devices: upload, code, proof; and which certificates they stand behind."""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from doubles.hub_in_memory import make_hub

from host_tools.hub.state.device_authorities import MAX_AUTHORITIES, common_name
from host_tools.hub.state.errors import HubError

DAY = datetime.timedelta(days=1)


class Authority:
    """`now`: the time of the hub's clock."""

    def __init__(self, now, name="Ours", is_ca=True):
        self.now = now
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name(name)
        self.certificate = self.sign(name, self.key, is_ca=is_ca)

    def sign(self, name, key=None, is_ca=False, days=1):
        key = key or ec.generate_private_key(ec.SECP256R1())
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - DAY)
            .not_valid_after(self.now + days * DAY)
            .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
            .sign(self.key, hashes.SHA256())
        )


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def hub():
    return make_hub()


@pytest.fixture
def now(hub):
    return datetime.datetime.fromtimestamp(hub.clock(), datetime.timezone.utc)


def verified(hub, authority, name="ours"):
    code = hub.device_authorities.add(name, pem(authority.certificate)).code
    return hub.device_authorities.verify(name, pem(authority.sign(code)))


def test_only_a_verified_one_stands_behind_certificates(hub, now):
    authority, found = Authority(now), hub.device_authorities
    device = authority.sign("dev1")
    code = found.add("ours", pem(authority.certificate)).code
    assert not found.has_signed(device)
    der = authority.sign(code).public_bytes(serialization.Encoding.DER)
    document = found.verify("ours", der).document()
    assert (document["isVerified"], document["verificationCode"]) == (True, None)
    assert found.has_signed(device)
    assert not found.has_signed(Authority(now).sign("dev1"))
    found.delete("ours")
    assert not found.has_signed(device)


def test_a_proof_is_of_this_code_and_this_key(hub, now):
    authority, found = Authority(now), hub.device_authorities
    code = found.add("ours", pem(authority.certificate)).code
    for proof in (authority.sign("another"), Authority(now).sign(code)):
        with pytest.raises(HubError) as refused:
            found.verify("ours", pem(proof))
        assert refused.value.code == 400004
    assert not found.get("ours").is_verified


@pytest.mark.parametrize("days", [0, 400])
def test_what_has_ended_holds_no_more(hub, now, days):
    authority = Authority(now)
    verified(hub, authority)
    device = authority.sign("dev1", days=30)
    assert hub.device_authorities.has_signed(device)
    hub.clock.now_s += 40 * 86400 if days else 2 * 86400
    # The device's certificate, or the authority's own, which holds for a day
    assert not hub.device_authorities.has_signed(device)


def test_refusals(hub, now):
    found = hub.device_authorities
    for name, data, code in (
        ("x", b"no certificate", 400004),
        ("x", b"-----BEGIN CERTIFICATE-----\nAAAA", 400004),
        ("", pem(Authority(now).certificate), 400004),
        ("x" * 257, pem(Authority(now).certificate), 400004),
        ("x", pem(Authority(now, is_ca=False).certificate), 400004),
    ):
        with pytest.raises(HubError) as refused:
            found.add(name, data)
        assert refused.value.code == code
    one = pem(Authority(now).certificate)
    found.add("x", one)
    with pytest.raises(HubError) as refused:
        found.add("x", one)
    assert refused.value.http_status == 409
    for call in (found.get, found.delete, lambda name: found.verify(name, one)):
        with pytest.raises(HubError) as refused:
            call("y")
        assert refused.value.http_status == 404
    for number in range(MAX_AUTHORITIES - 1):
        found.add(f"n{number}", one)
    with pytest.raises(HubError, match="100"):
        found.add("more", one)


def test_they_outlive_the_hub(tmp_path, now):
    authority = Authority(now)
    hub = make_hub(path=tmp_path / "state")
    verified(hub, authority)
    hub.storage.close()
    again = make_hub(path=tmp_path / "state")
    assert again.device_authorities.has_signed(authority.sign("dev1"))
    again.storage.close()


def test_a_name_is_one_name():
    now = datetime.datetime.now(datetime.timezone.utc)
    assert common_name(Authority(now).sign("dev1")) == "dev1"
