"""The listeners: what of their clients' doings reaches the log."""

import asyncio
import logging
import socket

import pytest
from aiohttp import web

from host_tools.hub import listeners
from host_tools.hub.listeners import (
    ServerError,
    bind,
    exposed_address,
    own_address,
    serve_https,
    swept,
)

SECRET = b"SharedAccessSignature sr=x&sig=c2VjcmV0"


async def _ask(app, request):
    """The answer to raw bytes, over plain HTTP."""
    bound = socket.create_server(("127.0.0.1", 0))
    async with serve_https(bound, None, app):
        reader, writer = await asyncio.open_connection(*bound.getsockname())
        writer.write(request)
        answer = await reader.read()
        writer.close()
    return answer


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\0" * 100,
        b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nAuthorization: " + SECRET + b"\0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
    ],
    ids=["no HTTP", "long line", "a token in a bad line", "a bad length"],
)
def test_a_client_that_speaks_no_http_is_told_and_not_logged(request_bytes, caplog):
    answer = asyncio.run(_ask(web.Application(), request_bytes))
    assert answer.split(b" ")[1] == b"400"
    assert caplog.text == ""


def test_an_error_of_ours_is_logged_with_its_traceback(caplog):
    async def broken(_request):
        raise ZeroDivisionError

    app = web.Application()
    app.router.add_get("/", broken)
    request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = asyncio.run(_ask(app, request))
    assert answer.split(b" ")[1] == b"500"
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("0.0.0.0", "every network"),
        ("::", "not an IPv4 address"),
        ("", "not an IPv4 address"),
        ("localhost", "not an IPv4 address"),
        ("192.168.1", "not an IPv4 address"),
        ("192.168.1.0/24", "not an IPv4 address"),
        ("224.0.0.1", "no machine"),
        ("255.255.255.255", "no machine"),
        ("8.8.8.8", "the internet"),
    ],
)
def test_what_is_not_to_be_exposed(address, reason):
    with pytest.raises(ServerError, match=reason) as caught:
        exposed_address(address)
    assert "; " in str(caught.value)
    assert "name one address of this machine" in str(caught.value)


@pytest.mark.parametrize("address", ["192.168.1.20", "10.0.0.1", "172.16.3.4", "169.254.1.2"])
def test_one_address_of_a_private_network_may_be(address):
    assert exposed_address(address) == address


def test_an_address_of_another_machine_cannot_be_bound():
    with pytest.raises(ServerError, match=r"198\.51\.100\.7 is not an address of this machine;"):
        bind("198.51.100.7", 0, "--mqtt-port")


def test_our_own_address_is_one_that_can_be_bound():
    address = own_address() or "127.0.0.1"
    bind(address, 0, "--mqtt-port").close()


class _Unswept:
    """A hub in which time cannot pass."""

    def __init__(self):
        self.sweeps = 0
        self.is_swept_again = asyncio.Event()

    def sweep(self):
        self.sweeps += 1
        if self.sweeps == 2:
            self.is_swept_again.set()
        raise ZeroDivisionError

    async def stop(self):
        pass


def test_a_fault_of_ours_does_not_end_the_sweeping_and_is_logged(caplog, monkeypatch):
    monkeypatch.setattr(listeners, "_SWEEP_S", 0)

    async def until_swept_again():
        hub = _Unswept()
        async with swept(hub):
            await asyncio.wait_for(hub.is_swept_again.wait(), 5)

    asyncio.run(until_swept_again())
    assert "ZeroDivisionError" in caplog.text
