"""The listeners: what of their clients' doings reaches the log."""

import asyncio
import logging
import socket

import pytest
from aiohttp import web

from host_tools.hub.listeners import serve_https

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
