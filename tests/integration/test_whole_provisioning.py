"""The whole thermostat with nothing but an enrolment: it asks the provisioning service which hub
is its own, restarts, and is a Plug and Play device there. Rooms are heated all the while."""

import asyncio
import base64
import hashlib
import hmac
import json

import pytest
from board_setup import fresh_key
from certificates_for_tests import Authority
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from whole import DEVICE, PACE, House, own_address, until

from host_tools.hub.server import HubServer

pytestmark = pytest.mark.timeout(90)

FILES = {"certificate": "device.der", "private_key": "device.key.der"}


def by_key(key):
    return {"attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": key}}}


class Place:
    """A hub with its service, and a thermostat that knows only of the latter."""

    def __init__(self, folder, server):
        self.folder = folder / "house"
        self.folder.mkdir()
        self.server = server
        self.dps = server.hub.provisioning
        self.dps.retry_after_s = 1

    def house(self, key=None, scope=None, **members):
        provisioning = {
            "host": self.server.device_host,
            "id_scope": scope or self.dps.scope,
            "registration_id": DEVICE,
        }
        if key:
            provisioning["key"] = key
        settings = {**PACE, "provisioning": provisioning, **members}
        return House(self.folder, ("", self.server.certificates.ca_der, settings))

    def reported(self, name="thermostat1"):
        hub = self.server.hub
        if not hub.registry.exists(DEVICE):
            return None
        return hub.twins.get(DEVICE)["properties"]["reported"].get(name)

    async def is_up(self, house):
        """Its twin has acknowledgements, telemetry comes, and a service can command it."""
        await until(lambda: self.reported(), 40, house.console)
        assert self.reported()["targetTemperature"]["ac"] in (200, 203)
        await until(lambda: house.stat("telemetry_acked") > 0, 20, house.console)
        hub = self.server.hub
        twin = hub.twins.get(DEVICE)
        assert twin["modelId"] == "dtmi:com:example:TemperatureController;1"
        since = "2026-01-01T00:00:00Z"
        result = await hub.methods.invoke(DEVICE, "thermostat1*getMaxMinReport", since, 30, 0)
        assert result.status == 200
        assert len(house.found("restarting, for the hub that was assigned")) == 1


def run(folder, scenario):
    async def whole():
        async with HubServer(folder / "hub", None, own_address()) as server:
            await scenario(Place(folder, server))

    asyncio.run(whole())


def test_by_a_key_of_its_own(tmp_path):
    key = fresh_key()

    async def scenario(place):
        place.dps.individual.put(DEVICE, by_key(key), None)
        async with place.house(key) as house:
            await place.is_up(house)
            assert key not in house.console()
        kept = json.loads((place.folder / "assigned.json").read_text())
        assert (kept["host"], kept["device"]) == (place.server.host_name, DEVICE)
        # It need not ask again
        async with House(place.folder) as house:
            await house.line("online as " + DEVICE)
            assert not house.found("assigned to")
        assert key not in (place.folder / "assigned.json").read_text()

    run(tmp_path, scenario)


def test_by_a_key_that_was_derived_from_a_group_s(tmp_path):
    group = fresh_key()
    derived = hmac.new(base64.b64decode(group), DEVICE.encode(), hashlib.sha256).digest()

    async def scenario(place):
        twin = {"properties": {"desired": {"thermostat1": {"__t": "c", "targetTemperature": 24}}}}
        place.dps.groups.put("all", {**by_key(group), "initialTwin": twin}, None)
        async with place.house(base64.b64encode(derived).decode()) as house:
            await place.is_up(house)
            await until(lambda: place.reported()["targetTemperature"]["value"] == 24, 20)

    run(tmp_path, scenario)


def test_by_a_certificate(tmp_path):
    async def scenario(place):
        authority = Authority("Works")
        certificate_file, _ = authority.write_device(place.folder, DEVICE)
        pem = x509.load_der_x509_certificate(certificate_file.read_bytes()).public_bytes(
            serialization.Encoding.PEM
        )
        shown = {"clientCertificates": {"primary": {"certificate": pem.decode()}}}
        document = {"attestation": {"type": "x509", "x509": shown}}
        place.dps.individual.put(DEVICE, document, None)
        async with place.house(**FILES) as house:
            await place.is_up(house)
        assert place.server.hub.registry.get(DEVICE)["authentication"]["type"] == "selfSigned"

    run(tmp_path, scenario)


def test_a_device_that_the_hub_does_not_know_any_more_asks_again(tmp_path):
    key = fresh_key()

    async def scenario(place):
        place.dps.individual.put(DEVICE, by_key(key), None)
        async with place.house(key) as house:
            await place.is_up(house)
            place.server.hub.registry.delete(DEVICE)
            await house.line("asking the provisioning service again", seconds=40)
            await house.line("assigned to", times=2, seconds=40)
            await house.line("online as " + DEVICE, times=2, seconds=40)
            await until(lambda: house.stat("telemetry_acked") > 0)

    run(tmp_path, scenario)


def test_without_an_enrolment_the_rooms_are_heated_and_it_comes_later(tmp_path):
    key = fresh_key()

    async def scenario(place):
        async with place.house(key) as house:
            await house.line("refused (CONNACK 5): check id scope")
            await house.heats()
            place.dps.individual.put(DEVICE, by_key(key), None)
            await place.is_up(house)

    run(tmp_path, scenario)


def test_a_key_that_is_none_is_told(tmp_path):
    async def scenario(place):
        async with place.house("no key at all") as house:
            await house.line("config.json: provisioning: SharedAccessKey is not base64")
            await house.heats()

    run(tmp_path, scenario)
