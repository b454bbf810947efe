"""Provisioning by azure-iot-device, unmodified, then a connection to the hub that it was told."""

import asyncio
import base64
import hashlib
import hmac
import os

import pytest
from board_setup import fresh_key
from certificates_for_tests import Authority
from cryptography.hazmat.primitives import serialization
from doubles.device_certificates import certificate, new_key, private
from enrollments import by_certificate, by_key
from sdk_process import run_sdk_script

from host_tools.hub.launcher import serving

HEADS = {
    "sync": "from azure.iot.device import IoTHubDeviceClient, ProvisioningDeviceClient\n",
    "aio": "from azure.iot.device.aio import IoTHubDeviceClient, ProvisioningDeviceClient\n",
}
SCRIPT = """
import asyncio, os
from azure.iot.device import X509

HOST, SCOPE = os.environ["IOTHUB_DEVICE_DPS_ENDPOINT"], os.environ["IOTHUB_DEVICE_DPS_ID_SCOPE"]
NAME, KEY = os.environ["NAME"], os.environ.get("KEY")


async def main():
    if KEY:
        client = ProvisioningDeviceClient.create_from_symmetric_key(HOST, NAME, SCOPE, KEY)
    else:
        own = X509(os.environ["CERTIFICATE"], os.environ["PRIVATE"])
        client = ProvisioningDeviceClient.create_from_x509_certificate(HOST, NAME, SCOPE, own)
    client.provisioning_payload = {"modelId": "dtmi:com:example:Thermostat;1"}
    try:
        result = await client.register()
    except Exception as error:
        print("refused", type(error).__name__, str(error.__cause__)[:80])
        return
    state = result.registration_state
    print(result.status, state.sub_status, state.device_id, state.response_payload)
    if result.status != "assigned":
        return
    if KEY:
        device = IoTHubDeviceClient.create_from_symmetric_key(
            KEY, state.assigned_hub, state.device_id)
    else:
        device = IoTHubDeviceClient.create_from_x509_certificate(
            own, state.assigned_hub, state.device_id)
    await device.connect()
    twin = await device.get_twin()
    print("online", twin["desired"].get("target"))
    await device.shutdown()
"""


def script(kind):
    if kind == "aio":
        return HEADS[kind] + SCRIPT + "\nasyncio.run(main())\n"
    return HEADS[kind] + SCRIPT.replace("async def", "def").replace("await ", "") + "\nmain()\n"


class Place:
    def __init__(self, folder, server, kind):
        self.folder = folder
        self.server = server
        self.hub = server.hub
        self.dps = server.hub.provisioning
        self._kind = kind

    async def register(self, name, **variables):
        """The lines that the device's script prints."""
        environment = {
            **os.environ,
            "SSL_CERT_FILE": str(self.server.certificates.ca_bundle),
            "IOTHUB_DEVICE_DPS_ENDPOINT": self.server.device_host,
            "IOTHUB_DEVICE_DPS_ID_SCOPE": self.dps.scope,
            "NAME": name,
            **variables,
        }
        return (await run_sdk_script(script(self._kind), environment)).splitlines()

    def files(self, name, pem, key):
        (self.folder / f"{name}.pem").write_bytes(pem)
        (self.folder / f"{name}.key").write_bytes(private(key))
        found = {"CERTIFICATE": f"{name}.pem", "PRIVATE": f"{name}.key"}
        return {variable: str(self.folder / file) for variable, file in found.items()}

    def of_authority(self, authority, name):
        found, key = authority.sign_device(name)
        return self.files(name, found.public_bytes(serialization.Encoding.PEM), key)


def run(folder, kind, scenario):
    async def whole():
        async with serving(folder / "hub", None) as server:
            await scenario(Place(folder, server, kind))

    asyncio.run(whole())


both = pytest.mark.parametrize("kind", ["sync", "aio"])


@both
def test_by_a_key_of_its_own(tmp_path, kind):
    async def scenario(place):
        key = fresh_key()
        twin = {"tags": {"floor": 1}, "properties": {"desired": {"target": 21}}}
        returned = {"customAllocationDefinition": {"returnData": {"shift": "night"}}}
        place.dps.individual.put(
            "stove", by_key(key, deviceId="kitchen", initialTwin=twin, **returned), None
        )
        assert await place.register("stove", KEY=key) == [
            'assigned initialAssignment kitchen {"shift": "night"}',
            "online 21",
        ]
        assert place.hub.twins.get("kitchen")["tags"] == {"floor": 1}
        assert place.dps.get("stove")["assignedHub"] == place.server.host_name
        # Somebody else's key is refused when it connects
        assert "refused CredentialError" in (await place.register("stove", KEY=fresh_key()))[0]
        assert "refused CredentialError" in (await place.register("nobody", KEY=key))[0]

    run(tmp_path, kind, scenario)


@both
def test_by_a_key_derived_from_a_group_s(tmp_path, kind):
    async def scenario(place):
        group = fresh_key()
        place.dps.groups.put("all-stoves", by_key(group), None)
        derived = hmac.new(base64.b64decode(group), b"stove-7", hashlib.sha256).digest()
        key = base64.b64encode(derived).decode()
        assert await place.register("stove-7", KEY=key) == [
            "assigned initialAssignment stove-7 null",
            "online None",
        ]
        assert "refused" in (await place.register("stove-8", KEY=key))[0]
        (found,) = place.dps.of_group("all-stoves")
        assert found["registrationId"] == "stove-7"

    run(tmp_path, kind, scenario)


@both
def test_by_a_certificate_of_its_own_or_of_a_group_s_authority(tmp_path, kind):
    async def scenario(place):
        key, other = new_key(), new_key()
        pem = certificate(key, "stove")
        place.dps.individual.put("stove", by_certificate("clientCertificates", pem), None)
        assert await place.register("stove", **place.files("own", pem, key)) == [
            "assigned initialAssignment stove null",
            "online None",
        ]
        fake = place.files("fake", certificate(other, "stove"), other)
        assert "status code 401" in (await place.register("stove", **fake))[0]
        authority = Authority("Works")
        root = authority.certificate.public_bytes(serialization.Encoding.PEM)
        place.dps.groups.put("works", by_certificate("signingCertificates", root), None)
        files = place.of_authority(authority, "stove-9")
        assert await place.register("stove-9", **files) == [
            "assigned initialAssignment stove-9 null",
            "online None",
        ]
        # Its common name has to be the registration id
        assert "status code 404" in (await place.register("stove-10", **files))[0]

    run(tmp_path, kind, scenario)


def test_disabled_and_coming_again(tmp_path):
    async def scenario(place):
        key = fresh_key()
        twin = {"properties": {"desired": {"target": 21}}}
        dps, twins = place.dps.individual, place.hub.twins
        dps.put("stove", by_key(key, initialTwin=twin), None)
        await place.register("stove", KEY=key)
        twins.update_desired("stove", {"properties": {"desired": {"target": 25}}})
        policies = {
            "deviceDataMigrated 25": {"updateHubAssignment": True, "migrateDeviceData": True},
            "initialAssignment 25": {"updateHubAssignment": False},
            "deviceDataReset 21": {"updateHubAssignment": True, "migrateDeviceData": False},
        }
        for expected, policy in policies.items():
            substatus, target = expected.split()
            dps.put("stove", by_key(key, initialTwin=twin, reprovisionPolicy=policy), "*")
            assert await place.register("stove", KEY=key) == [
                f"assigned {substatus} stove null",
                f"online {target}",
            ]
        dps.put("stove", by_key(key, provisioningStatus="disabled"), "*")
        (line,) = await place.register("stove", KEY=key)
        assert "registration status disabled" in line

    run(tmp_path, "sync", scenario)
