"""The tools' own REST client against the local hub: makes devices, tells refusals in a line."""

import asyncio
import socket

import pytest
from doubles.keys import KEY
from whole import own_address

from host_tools.credentials import CredentialError, Secret
from host_tools.hub.server import HubServer, Ports
from host_tools.service import ServiceError, ensure_device, parse_connection_string


def at_a_hub(tmp_path, work, policy="registryReadWrite", devices=()):
    """What `work(server, connection, ca)` gives, in a thread beside the running hub."""

    async def scenario():
        server = HubServer(tmp_path / "w", host=own_address(), ports=Ports(0, 0, 0))
        async with server:
            for device in devices:
                server.hub.registry.create(device)
            connection = parse_connection_string(Secret(server.service_connection_string(policy)))
            return await asyncio.to_thread(work, server, connection, server.certificates.ca_pem)

    return asyncio.run(scenario())


def test_a_device_is_made_once_and_then_found(tmp_path):
    def work(server, connection, ca):
        keys = [ensure_device(connection, "Stove.1:a#", ca) for _ in range(2)]
        return keys, server.hub.registry.key_texts("Stove.1:a#")[0]

    keys, expected = at_a_hub(tmp_path, work)
    assert [key.reveal() for key in keys] == [expected, expected]


def test_what_the_hub_refuses_is_told_with_what_to_do(tmp_path):
    def work(server, connection, ca):
        for device_id, reason in (
            ("off", "is disabled on the hub; enable"),
            ("x509", "has no key, but authentication by selfSigned; use --certificate"),
            ("a b", "the hub answered 400"),
        ):
            with pytest.raises(ServiceError, match=reason):
                ensure_device(connection, device_id, ca)

    by_print = {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": "A" * 40}}
    devices = [
        {"deviceId": "off", "status": "disabled"},
        {"deviceId": "x509", "authentication": by_print},
    ]
    at_a_hub(tmp_path, work, devices=devices)


def test_a_policy_that_may_not_make_devices(tmp_path):
    def work(server, connection, ca):
        with pytest.raises(ServiceError, match="its policy lacks registryWrite"):
            ensure_device(connection, "stove", ca)
        assert not server.hub.registry.exists("stove")

    at_a_hub(tmp_path, work, "service")
    at_a_hub(tmp_path, work, "device")


def test_a_hub_that_is_not_ours_is_not_spoken_to(tmp_path):
    def work(server, connection, ca):
        with pytest.raises(ServiceError, match="its certificate is not trusted") as caught:
            ensure_device(connection, "stove")
        assert "sig=" not in str(caught.value)

    at_a_hub(tmp_path, work)


def test_nobody_at_home():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    text = f"HostName=127.0.0.1:{port};SharedAccessKeyName=o;SharedAccessKey={KEY}"
    with pytest.raises(ServiceError, match="cannot be reached .Connection refused.; check"):
        ensure_device(parse_connection_string(Secret(text)), "stove")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"HostName=h;DeviceId=d;SharedAccessKey={KEY}", "a device's connection string"),
        (f"SharedAccessKeyName=o;SharedAccessKey={KEY}", "no HostName"),
        (f"HostName=h;SharedAccessKey={KEY}", "no SharedAccessKeyName"),
        ("HostName=h;SharedAccessKeyName=o", "no SharedAccessKey"),
        ("HostName=h;SharedAccessKeyName=o;SharedAccessKey=AAAA", "has 3 bytes"),
        (f"HostName=h/@x;SharedAccessKeyName=o;SharedAccessKey={KEY}", "not a host name"),
        ("rubbish", "no HostName"),
    ],
)
def test_a_string_that_is_not_a_services_is_refused_without_showing_it(text, reason):
    with pytest.raises(CredentialError, match=reason) as caught:
        parse_connection_string(Secret(text))
    assert "; " in str(caught.value)
    assert KEY not in str(caught.value)


def test_no_repr_shows_the_key():
    text = f"HostName=h;SharedAccessKeyName=o;SharedAccessKey={KEY}"
    found = parse_connection_string(Secret(text))
    assert repr(found.key) not in repr(found)
