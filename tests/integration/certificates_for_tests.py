"""Certificates made for one test run: a root, and servers good and bad in one way each."""

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


class Authority:
    def __init__(self, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(
            self.name, self.key.public_key(), self.name, True, None, NOW - DAY, NOW + DAY
        )

    def _sign(self, subject, public_key, issuer, is_ca, dns, begin, end):
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        )
        if dns:
            names = x509.SubjectAlternativeName([x509.DNSName(dns)])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def write_root(self, path: Path) -> Path:
        path.write_bytes(self.certificate.public_bytes(serialization.Encoding.DER))
        return path

    def write_server(self, path: Path, dns="localhost", begin=NOW - DAY, end=NOW + DAY) -> Path:
        """Key and certificate of a server named `dns`, as one PEM file."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, dns)])
        certificate = self._sign(subject, key.public_key(), self.name, False, dns, begin, end)
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        return path

    def sign_device(self, device_id: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device_id)])
        made = self._sign(subject, key.public_key(), self.name, False, None, NOW - DAY, NOW + DAY)
        return made, key

    def write_device(self, folder: Path, device_id: str) -> tuple[Path, Path]:
        """Certificate and key of a device, both DER, as they lie beside config.json."""
        certificate, key = self.sign_device(device_id)
        certificate_file, key_file = folder / "device.der", folder / "device.key.der"
        certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.DER))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.DER,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return certificate_file, key_file


def write_self_signed(path: Path) -> Path:
    """A server that vouches for itself."""
    lone = Authority("localhost")
    lone.certificate = lone._sign(
        lone.name, lone.key.public_key(), lone.name, False, "localhost", NOW - DAY, NOW + DAY
    )
    path.write_bytes(
        lone.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + lone.certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
