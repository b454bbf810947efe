"""Seed 001, "Authenticate using an X.509 certificate": a device with a certificate of its own.

The certificate is made here, as `openssl req -x509` would; its thumbprint goes into the registry,
and certificate and key stay with the device.
"""

import asyncio
import datetime
import json
import os
import tempfile
from pathlib import Path

from azure.iot.device import X509
from azure.iot.device.aio import IoTHubDeviceClient
from azure.iot.hub import IoTHubRegistryManager
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DEVICE_ID = "x509-device"
CONNECTION_STRING = os.environ["IOTHUB_CONNECTION_STRING"]
HOST = os.environ["IOTHUB_DEVICE_CONNECTION_STRING"].split(";")[0].removeprefix("HostName=")


def make_certificate(folder: Path) -> tuple[X509, str]:
    """What the SDK is given, and the thumbprint."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DEVICE_ID)])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    password = os.urandom(12).hex()
    protected = serialization.BestAvailableEncryption(password.encode())
    form = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(pem, form, protected))
    shown = X509(str(folder / "cert.pem"), str(folder / "key.pem"), password)
    return shown, certificate.fingerprint(hashes.SHA1()).hex().upper()


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        certificate, thumbprint = make_certificate(Path(folder))
        manager = IoTHubRegistryManager(CONNECTION_STRING)
        manager.create_device_with_x509(DEVICE_ID, thumbprint, None, "enabled")
        device_client = IoTHubDeviceClient.create_from_x509_certificate(
            x509=certificate, hostname=HOST, device_id=DEVICE_ID
        )
        await device_client.connect()
        await device_client.patch_twin_reported_properties({"temperature": 32.1})
        twin = await device_client.get_twin()
        await device_client.shutdown()
    service = manager.get_twin(DEVICE_ID)
    seen = {
        "reported": twin["reported"],
        "type": service.authentication_type,
        "thumbprint": service.x509_thumbprint.primary_thumbprint == thumbprint,
    }
    print(json.dumps(seen))


asyncio.run(main())
