"""What Azure code is told, and by whom it is asked to go: never through a proxy."""

import asyncio

from host_tools.hub.client_environment import client_environment, without_other_identities
from host_tools.hub.server import HubServer, Ports
from host_tools.hub.trust import BUNDLE_VARIABLES

ANY_PORTS = Ports(0, 0, 0)


async def _environment(folder):
    async with HubServer(folder, host="127.0.0.9", ports=ANY_PORTS) as server:
        server.ensure_device("dev1")
        return client_environment(server, "dev1"), server.certificates.ca_bundle


def test_names_trust_and_no_proxy(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "example.com")
    monkeypatch.delenv("NO_PROXY", raising=False)
    found, bundle = asyncio.run(_environment(tmp_path))
    assert found["IOTHUB_DEVICE_ID"] == "dev1"
    assert ";DeviceId=dev1;" in found["IOTHUB_DEVICE_CONNECTION_STRING"]
    assert found["NO_PROXY"] == found["no_proxy"] == "example.com,localhost,127.0.0.9"
    assert {found[name] for name in BUNDLE_VARIABLES} == {str(bundle)}
    host = found["IOTHUB_HOSTNAME"]
    assert host.startswith("127.0.0.9:")
    assert found["IDENTITY_ENDPOINT"] == f"https://{host}/msi/token"


def test_other_managed_identities_are_not_there_even_empty():
    ours = {"PATH": "/bin", "IMDS_ENDPOINT": "", "IDENTITY_SERVER_THUMBPRINT": "x"}
    assert without_other_identities(ours) == {"PATH": "/bin"}
