"""Devices with certificates of their own, by Microsoft's unmodified packages, over real TLS."""

import asyncio
import base64
import datetime
import os
import ssl
import textwrap
import time

import aiohttp
import pytest
from certificates_for_tests import Authority
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from doubles.device_certificates import certificate, new_key, private
from sdk_process import run_sdk_script

from host_tools.credentials import Secret
from host_tools.hub.launcher import serving
from host_tools.hub.state.errors import HubError
from host_tools.hub.trust import trust_environment
from host_tools.service import parse_connection_string

DEVICE_HEAD = {
    "sync": "from azure.iot.device import IoTHubDeviceClient\n",
    "aio": "from azure.iot.device.aio import IoTHubDeviceClient\n",
}
DEVICE = """
import asyncio, os
from azure.iot.device import X509, exceptions

async def main():
    x509 = X509(os.environ["CERTIFICATE"], os.environ["KEY"])
    client = IoTHubDeviceClient.create_from_x509_certificate(
        x509, os.environ["HOST"], "dev1", **OPTIONS
    )
    try:
        await client.connect()
    except (exceptions.CredentialError, exceptions.ConnectionFailedError) as error:
        print("refused", type(error).__name__)
    else:
        await client.send_message("hello")
        twin = await client.get_twin()
        print("online", twin["desired"]["$version"])
    await client.shutdown()
"""
SERVICE = """
import os
from azure.iot.hub import IoTHubRegistryManager

manager = IoTHubRegistryManager(os.environ["IOTHUB_CONNECTION_STRING"])
"""


def device_script(kind, options="{}"):
    text = DEVICE.replace("**OPTIONS", f"**{options}")
    if kind == "aio":
        return DEVICE_HEAD[kind] + text + "\nasyncio.run(main())\n"
    return (
        DEVICE_HEAD[kind] + text.replace("async def", "def").replace("await ", "") + "\nmain()\n"
    )


class Place:
    """A hub, and files of a device's certificate and key."""

    def __init__(self, folder, server):
        self.folder = folder
        self.server = server
        self.hub = server.hub
        self._environment = {
            **os.environ,
            "IOTHUB_CONNECTION_STRING": server.service_connection_string(),
            **trust_environment(folder, server.certificates.ca_pem, os.environ),
        }

    def write(self, name, certificate_pem, key):
        (self.folder / f"{name}.pem").write_bytes(certificate_pem)
        (self.folder / f"{name}.key").write_bytes(private(key))
        return {
            "CERTIFICATE": str(self.folder / f"{name}.pem"),
            "KEY": str(self.folder / f"{name}.key"),
            "HOST": self.server.host_name,
        }

    async def device(self, files, kind="sync", options="{}"):
        environment = {**self._environment, **files}
        return (await run_sdk_script(device_script(kind, options), environment)).strip()

    async def service(self, script, **variables):
        text = SERVICE + textwrap.dedent(script) + "\ndel manager\n"
        return await run_sdk_script(text, {**self._environment, **variables})

    async def rest(self, verb, path, pem):
        """The verification code that the hub answers with."""
        service = parse_connection_string(Secret(self.server.service_connection_string()))
        context = ssl.create_default_context(cafile=str(self.server.certificates.ca_pem))
        url = f"https://{service.address}{path}?api-version=2021-04-12"
        headers = {"Authorization": service.token(time.time())}
        body = {"certificate": base64.b64encode(pem).decode()}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.request(verb, url, json=body, ssl=context) as answer,
        ):
            assert answer.status == 200, await answer.text()
            return (await answer.json())["verificationCode"]

    def events(self):
        telemetry = self.hub.telemetry
        return telemetry.read(telemetry.partition_of("dev1"))


def run(folder, scenario):
    async def whole():
        async with serving(folder / "hub", None) as server:
            await scenario(Place(folder, server))

    asyncio.run(whole())


def thumbprint(pem, kind):
    return x509.load_pem_x509_certificate(pem).fingerprint(kind).hex()


@pytest.mark.parametrize("kind", ["sync", "aio"])
def test_by_thumbprints(tmp_path, kind):
    """Made by the registry's SDK: the primary by SHA-1, the secondary by SHA-256."""

    async def scenario(place):
        keys = [new_key(), new_key("rsa"), new_key()]
        pems = [certificate(key, "whoever") for key in keys]
        first, second, other = (place.write(str(n), pems[n], keys[n]) for n in range(3))
        await place.service(
            """
            made = manager.create_device_with_x509(
                "dev1", os.environ["FIRST"], os.environ["SECOND"], "enabled")
            assert made.authentication.type == "selfSigned"
            assert made.authentication.x509_thumbprint.primary_thumbprint
            """,
            FIRST=thumbprint(pems[0], hashes.SHA1()),
            SECOND=thumbprint(pems[1], hashes.SHA256()),
        )
        assert await place.device(first, kind) == "online 1"
        assert await place.device(second, kind) == "online 1"
        assert (await place.device(other, kind)).startswith("refused")
        assert [event.body for event in place.events()] == [b"hello"] * 2
        method = place.events()[0].annotations["iothub-connection-auth-method"]
        assert '"type":"x509"' in method
        # Rotated, as keys are: the first no longer counts
        await place.service(
            """
            found = manager.get_device("dev1")
            manager.update_device_with_x509(
                "dev1", found.etag, os.environ["THIRD"], os.environ["SECOND"], "enabled")
            """,
            THIRD=thumbprint(pems[2], hashes.SHA1()),
            SECOND=thumbprint(pems[1], hashes.SHA256()),
        )
        assert (await place.device(first, kind)).startswith("refused")
        assert await place.device(other, kind, "{'websockets': True}") == "online 1"
        await place.service(
            """
            found = manager.get_device("dev1")
            prints = found.authentication.x509_thumbprint
            manager.update_device_with_x509("dev1", found.etag, prints.primary_thumbprint,
                prints.secondary_thumbprint, "disabled")
            """
        )
        assert (await place.device(other, kind)).startswith("refused")

    run(tmp_path, scenario)


def of_authority(place, authority, name):
    folder = place.folder / name
    folder.mkdir()
    certificate_file, key_file = authority.write_device(folder, "dev1")
    found = x509.load_der_x509_certificate(certificate_file.read_bytes())
    key = serialization.load_der_private_key(key_file.read_bytes(), None)
    return place.write(name, found.public_bytes(serialization.Encoding.PEM), key)


def proof(authority, code):
    """What the owner of the authority's key makes of a verification code."""
    subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, code)])
    now = datetime.datetime.now(datetime.timezone.utc)
    day = datetime.timedelta(days=1)
    made = authority._sign(
        subject, new_key().public_key(), authority.name, False, None, now - day, now + day
    )
    return made.public_bytes(serialization.Encoding.PEM)


def test_by_an_authority_whose_key_was_shown_to_be_there(tmp_path):
    async def scenario(place):
        good, bad = Authority("Ours"), Authority("Ours")
        root = good.certificate.public_bytes(serialization.Encoding.PEM)
        await place.service(
            """
            made = manager.create_device_with_certificate_authority("dev1", "enabled")
            assert made.authentication.type == "certificateAuthority"
            """
        )
        files = of_authority(place, good, "good")
        authorities = place.hub.device_authorities
        code = await place.rest("PUT", "/certificates/ours", root)
        # Not verified yet
        assert (await place.device(files)).startswith("refused")
        with pytest.raises(HubError, match="not signed"):
            authorities.verify("ours", proof(bad, code))
        with pytest.raises(HubError, match="verification code"):
            authorities.verify("ours", proof(good, "another"))
        await place.rest("POST", "/certificates/ours/verify", proof(good, code))
        assert await place.device(files) == "online 1"
        # One of the same name and another key, and one that is for another device
        assert (await place.device(of_authority(place, bad, "bad"))).startswith("refused")
        place.hub.registry.create(
            {"deviceId": "dev2", "authentication": {"type": "certificateAuthority"}}
        )
        await place.service(
            """
            found = manager.get_device("dev1")
            manager.update_device_with_certificate_authority("dev1", found.etag, "disabled")
            """
        )
        assert (await place.device(files)).startswith("refused")
        authorities.delete("ours")

    run(tmp_path, scenario)


def test_a_certificate_is_no_token_and_a_token_no_certificate(tmp_path):
    async def scenario(place):
        place.server.ensure_device("dev1")
        key = new_key()
        files = place.write("own", certificate(key, "dev1"), key)
        assert (await place.device(files)).startswith("refused")
        assert place.events() == []

    run(tmp_path, scenario)
