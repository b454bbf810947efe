"""Provisioning over HTTPS by requests, as Microsoft's instructions for devices without an SDK have
it, then a connection of azure-iot-device to the hub that was told.

Source: iot-dps-https-sym-key-support, iot-dps-https-x509-support.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import os

from board_setup import fresh_key
from certificates_for_tests import Authority
from doubles.device_certificates import PEM, certificate, new_key, private
from enrollments import by_certificate, by_key
from sdk_process import run_sdk_script

from host_tools.hub.launcher import serving

SCRIPT = """
import base64, hmac, os, time
from urllib.parse import quote_plus

import requests
from azure.iot.device import X509, IoTHubDeviceClient

HOST, SCOPE = os.environ["HTTPS_HOST"], os.environ["IOTHUB_DEVICE_DPS_ID_SCOPE"]
NAME, KEY, PAIR = os.environ["NAME"], os.environ.get("KEY"), os.environ.get("PAIR", "").split()


def token():
    resource, expiry = quote_plus(f"{SCOPE}/registrations/{NAME}"), int(time.time()) + 600
    text = f"{resource}\\n{expiry}".encode()
    signature = base64.b64encode(hmac.digest(base64.b64decode(KEY), text, "sha256"))
    signed = f"sr={resource}&sig={quote_plus(signature)}&se={expiry}&skn=registration"
    return "SharedAccessSignature " + signed


session = requests.Session()
session.params["api-version"] = "2021-06-01"
session.headers.update({"Content-Type": "application/json", "Content-Encoding": "utf-8"})
if KEY:
    session.headers["Authorization"] = token()
else:
    session.cert = tuple(PAIR)
base = f"https://{HOST}/{SCOPE}/registrations/{NAME}"
begun = session.put(base + "/register", json={"registrationId": NAME, "payload": {"a": 1}})
print(begun.status_code, begun.json().get("errorCode") or begun.json()["status"])
if begun.status_code == 202:
    time.sleep(int(begun.headers["Retry-After"]))
    found = session.get(f"{base}/operations/{begun.json()['operationId']}")
    state = found.json()["registrationState"]
    print(found.status_code, found.json()["status"], state.get("deviceId"), state.get("payload"))
    looked_up = session.post(base, json={"registrationId": NAME})
    print(looked_up.status_code, looked_up.json() == state)
    if found.json()["status"] == "assigned":
        if KEY:
            device = IoTHubDeviceClient.create_from_symmetric_key(
                KEY, state["assignedHub"], state["deviceId"])
        else:
            device = IoTHubDeviceClient.create_from_x509_certificate(
                X509(*PAIR), state["assignedHub"], state["deviceId"])
        device.connect()
        print("online", device.get_twin()["desired"].get("target"))
        device.shutdown()
"""
ONLINE = ["200 True", "online None"]


class Place:
    def __init__(self, folder, server):
        self.folder = folder
        self.server = server
        self.dps = server.hub.provisioning
        self.dps.retry_after_s = 1

    async def register(self, name, **variables):
        """The lines that the device's script prints."""
        bundle = str(self.server.certificates.ca_bundle)
        environment = {
            **os.environ,
            "SSL_CERT_FILE": bundle,
            "REQUESTS_CA_BUNDLE": bundle,
            "NO_PROXY": "*",
            "HTTPS_HOST": self.server.service_host,
            "IOTHUB_DEVICE_DPS_ID_SCOPE": self.dps.scope,
            "NAME": name,
            **variables,
        }
        return (await run_sdk_script(SCRIPT, environment)).splitlines()

    def pair(self, name, pem, key):
        """The variable that names a certificate and its key, in files."""
        files = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        files[0].write_bytes(pem)
        files[1].write_bytes(private(key))
        return {"PAIR": " ".join(map(str, files))}


@contextlib.asynccontextmanager
async def place_in(folder):
    async with serving(folder / "hub", None) as server:
        yield Place(folder, server)


def test_by_a_key_of_its_own(tmp_path):
    async def scenario():
        async with place_in(tmp_path) as place:
            key = fresh_key()
            twin = {"properties": {"desired": {"target": 21}}}
            returned = {"customAllocationDefinition": {"returnData": {"shift": "night"}}}
            enrollment = by_key(key, deviceId="kitchen", initialTwin=twin, **returned)
            place.dps.individual.put("stove", enrollment, None)
            assert await place.register("stove", KEY=key) == [
                "202 assigning",
                "200 assigned kitchen {'shift': 'night'}",
                "200 True",
                "online 21",
            ]
            assert await place.register("stove", KEY=fresh_key()) == ["401 401002"]
            place.dps.individual.put("oven", by_key(key, provisioningStatus="disabled"), None)
            assert await place.register("oven", KEY=key) == [
                "202 assigning",
                "200 disabled None None",
                "200 True",
            ]

    asyncio.run(scenario())


def test_by_a_key_derived_from_a_group_s(tmp_path):
    async def scenario():
        async with place_in(tmp_path) as place:
            group = fresh_key()
            place.dps.groups.put("all-stoves", by_key(group), None)
            derived = hmac.new(base64.b64decode(group), b"stove-7", hashlib.sha256).digest()
            key = base64.b64encode(derived).decode()
            assert await place.register("stove-7", KEY=key) == [
                "202 assigning",
                "200 assigned stove-7 None",
                *ONLINE,
            ]
            assert await place.register("stove-8", KEY=key) == ["401 401002"]

    asyncio.run(scenario())


def test_by_a_certificate_of_its_own_or_of_a_group_s_authority(tmp_path):
    async def scenario():
        async with place_in(tmp_path) as place:
            key, other = new_key(), new_key()
            pem = certificate(key, "stove")
            place.dps.individual.put("stove", by_certificate("clientCertificates", pem), None)
            assert await place.register("stove", **place.pair("own", pem, key)) == [
                "202 assigning",
                "200 assigned stove None",
                *ONLINE,
            ]
            fake = place.pair("fake", certificate(other, "stove"), other)
            assert await place.register("stove", **fake) == ["401 401002"]
            authority = Authority("Works")
            root = authority.certificate.public_bytes(PEM)
            place.dps.groups.put("works", by_certificate("signingCertificates", root), None)
            made, own = authority.sign_device("stove-9")
            signed = place.pair("signed", made.public_bytes(PEM), own)
            assert await place.register("stove-9", **signed) == [
                "202 assigning",
                "200 assigned stove-9 None",
                *ONLINE,
            ]
            # Its common name has to be the registration id
            assert await place.register("stove-10", **signed) == ["404 404201"]

    asyncio.run(scenario())
