"""The roots that the firmware verifies Azure by: the right ones, whole, valid for a while."""

import datetime
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes

ROOTS = Path(__file__).resolve().parents[3] / "firmware" / "roots"
# Source: Microsoft, "TLS support in IoT Hub": the root in use, and the one announced to follow.
NAMES = {
    "digicert-global-root-g2.der": "DigiCert Global Root G2",
    "microsoft-rsa-root-ca-2017.der": "Microsoft RSA Root Certificate Authority 2017",
}
MICROSOFT_SHA1 = "73a5e64a3bff8316ff0edccc618a906e4eae4d74"
YEAR = datetime.timedelta(days=365)


def certificates() -> dict[str, x509.Certificate]:
    return {p.name: x509.load_der_x509_certificate(p.read_bytes()) for p in ROOTS.glob("*.der")}


def test_the_two_roots_of_azure_are_there_and_no_others() -> None:
    found = certificates()
    assert {
        name: str(c.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
        for name, c in found.items()
    } == NAMES
    microsoft = found["microsoft-rsa-root-ca-2017.der"]
    assert microsoft.fingerprint(hashes.SHA1()).hex() == MICROSOFT_SHA1


def test_they_are_the_ones_that_the_web_trusts() -> None:
    trusted = x509.load_pem_x509_certificates(Path(certifi.where()).read_bytes())
    fingerprints = {c.fingerprint(hashes.SHA256()) for c in trusted}
    for name, certificate in certificates().items():
        assert certificate.fingerprint(hashes.SHA256()) in fingerprints, name


def test_none_expires_within_a_year() -> None:
    now = datetime.datetime.now(datetime.timezone.utc)
    for name, certificate in certificates().items():
        assert certificate.not_valid_after_utc - now > YEAR, f"{name} expires soon: replace it"
