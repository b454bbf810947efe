"""The whole thermostat at a hub that wants a certificate of its device instead of a token."""

import asyncio

import pytest
from certificates_for_tests import Authority
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from test_tls_session import Server
from whole import DEVICE, PACE, House, own_address, until

from host_tools.hub.server import HubServer

pytestmark = pytest.mark.timeout(60)

TEXT = f"HostName=localhost;DeviceId={DEVICE};x509=true"
FILES = {"certificate": "device.der", "private_key": "device.key.der"}


@pytest.fixture
def hub(tmp_path):
    """(the hub, its root's file); the devices' certificates are of the same authority."""
    authority = Authority("Root of this test")
    root = authority.write_root(tmp_path / "root.der")
    pem = authority.write_server(tmp_path / "server.pem")
    server = Server(pem, lambda number: None, client_root=root)
    server.authority = authority
    yield server, root
    server.close()


def settings_for(server, **more):
    return {**PACE, "connection": {"port": server.port}, **more}


def test_a_device_with_a_certificate_is_online_without_a_password(tmp_path, hub):
    server, root = hub
    folder = tmp_path / "house"
    folder.mkdir()
    server.authority.write_device(folder, DEVICE)

    async def scenario():
        async with House(folder, (TEXT, root, settings_for(server, **FILES))) as house:
            await house.line("online as " + DEVICE)
            await house.heats()

    asyncio.run(scenario())
    assert server.clients == [DEVICE]
    (texts, _, flags) = server.hub.connects[0]
    assert texts[0] == DEVICE
    assert texts[1].startswith(f"localhost/{DEVICE}/?api-version=")
    assert (len(texts), flags) == (2, 0x80)


def test_the_local_hub_knows_it_by_its_thumbprint(tmp_path):
    """Then by another's: its next connection is refused, and heating goes on."""
    folder = tmp_path / "house"
    folder.mkdir()
    certificate_file, _ = Authority("Not asked for").write_device(folder, DEVICE)
    certificate = x509.load_der_x509_certificate(certificate_file.read_bytes())
    thumbprint = certificate.fingerprint(hashes.SHA256()).hex()

    async def scenario():
        async with HubServer(tmp_path / "hub", None, own_address()) as server:
            registry = server.hub.registry
            prints = {"primaryThumbprint": thumbprint}
            authentication = {"type": "selfSigned", "x509Thumbprint": prints}
            registry.create({"deviceId": DEVICE, "authentication": authentication})
            text = f"HostName={server.host_name};DeviceId={DEVICE};x509=true"
            settings = (text, server.certificates.ca_der, {**PACE, **FILES})
            async with House(folder, settings) as house:
                await house.line("online as " + DEVICE)
                await until(lambda: house.stat("telemetry_acked") > 0)
                prints["primaryThumbprint"] = "00" * 32
                registry.update(DEVICE, {"authentication": authentication}, "*")
                server.hub.connections.drop(DEVICE, "a test")
                await house.line("next try in", times=2)
                await house.heats()
                assert not server.hub.connections.is_connected(DEVICE)

    asyncio.run(scenario())


def test_a_certificate_of_somebody_else_is_not_let_in(tmp_path, hub):
    server, root = hub
    folder = tmp_path / "house"
    folder.mkdir()
    Authority("Another root").write_device(folder, DEVICE)

    async def scenario():
        async with House(folder, (TEXT, root, settings_for(server, **FILES))) as house:
            await house.line("next try in")
            await house.heats()

    asyncio.run(scenario())
    assert server.clients == []
    assert server.hub.connects == []


@pytest.mark.parametrize(
    ("members", "damage", "expected"),
    [
        ({}, None, ["certificate", "x509=true", "private_key"]),
        (FILES, "device.der", ["certificate", "device.der cannot be read"]),
        (FILES, "device.key.der", ["private_key", "device.key.der cannot be read"]),
        ({**FILES, "private_key": "device.der"}, None, ["private_key", "DER form"]),
    ],
)
def test_what_is_missing_is_told_and_the_rooms_are_heated(
    tmp_path, hub, members, damage, expected
):
    server, root = hub
    folder = tmp_path / "house"
    folder.mkdir()
    server.authority.write_device(folder, DEVICE)
    if damage:
        (folder / damage).unlink()

    async def scenario():
        async with House(folder, (TEXT, root, settings_for(server, **members))) as house:
            await house.heats()
        return house

    house = asyncio.run(scenario())
    told = house.found("ERROR")[0]
    for part in ["config.json", *expected]:
        assert part in told
    assert server.connections == 0
