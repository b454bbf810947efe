"""The small client of a hub's registry: every answer becomes a key or a line with what to do."""

from __future__ import annotations

import asyncio
import errno
import json
import ssl
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from doubles.keys import KEY

from host_tools import service
from host_tools.credentials import CredentialError, Secret
from host_tools.service import ServiceError, ensure_device, parse_connection_string

STRING = f"HostName=hub.example.net;SharedAccessKeyName=owner;SharedAccessKey={KEY}"
CONNECTION = parse_connection_string(Secret(STRING))
FOUND = {"deviceId": "stove", "authentication": {"symmetricKey": {"primaryKey": KEY}}}


class FakeAnswer:
    def __init__(self, status: int, content: bytes) -> None:
        self.status = status
        self.reason = "Bad Request"
        self._content = content

    async def read(self) -> bytes:
        return self._content


class FakeHub:
    """Gives `answers`, one to each request; stands in for aiohttp's session."""

    def __init__(self, *answers: FakeAnswer | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, Any]] = []

    async def __aenter__(self) -> Any:
        if not self.asked:
            return self
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def __aexit__(self, *_: object) -> None:
        pass

    def request(self, method: str, url: str, json: object, **_: object) -> FakeHub:
        self.asked.append((method, url, json))
        return self


def ensured(monkeypatch: pytest.MonkeyPatch, *answers: FakeAnswer | Exception) -> tuple[str, Any]:
    hub = FakeHub(*answers)
    monkeypatch.setattr(aiohttp, "ClientSession", lambda **_: hub)
    return ensure_device(CONNECTION, "stove/1").reveal(), hub.asked


def answer(content: object, status: int = 200) -> FakeAnswer:
    return FakeAnswer(status, json.dumps(content).encode())


NONE = FakeAnswer(404, b"")


def test_a_device_that_is_there_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "https://hub.example.net/devices/stove%2F1"
    assert ensured(monkeypatch, answer(FOUND)) == (KEY, [("GET", url, None)])


def test_one_that_is_not_there_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    key, asked = ensured(monkeypatch, NONE, answer(FOUND))
    assert key == KEY
    assert [method for method, _, _ in asked] == ["GET", "PUT"]
    assert asked[1][2]["deviceId"] == "stove/1"


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([FakeAnswer(401, b"")], "it may have been renewed"),
        ([FakeAnswer(403, b"")], "its policy lacks registryWrite"),
        ([FakeAnswer(429, b"")], "wait a minute and try again"),
        ([NONE, FakeAnswer(400, b"")], "answered 400 Bad Request; check the device id"),
        ([NONE, NONE], "knows no registry; check the host name"),
        ([FakeAnswer(200, b"<html>")], "not that of an IoT hub; check the host name"),
        ([answer([1])], "not that of an IoT hub; check the host name"),
        ([answer({})], "has no key, but authentication by None"),
        ([answer({"authentication": "sas"})], "not that of an IoT hub; check the host name"),
        (
            [answer({"authentication": {"symmetricKey": "k"}})],
            "not that of an IoT hub; check the host name",
        ),
        (
            [answer({"authentication": {"type": "selfSigned", "symmetricKey": None}})],
            "has no key, but authentication by selfSigned; use --certificate",
        ),
        ([answer({**FOUND, "status": "disabled"})], "disabled on the hub; enable it there first"),
        ([asyncio.TimeoutError()], "TimeoutError"),
        ([aiohttp.ServerDisconnectedError()], "Server disconnected"),
        (
            [
                aiohttp.ClientConnectorError(
                    SimpleNamespace(host="h", port=1, ssl=True),  # type: ignore[arg-type]
                    OSError(errno.ECONNREFUSED, "Connect call failed"),
                )
            ],
            r"cannot be reached \(Connection refused\); check that it runs",
        ),
        (
            [
                aiohttp.ClientConnectorError(
                    SimpleNamespace(host="h", port=1, ssl=True),  # type: ignore[arg-type]
                    OSError("no address"),
                )
            ],
            r"cannot be reached \(no address\)",
        ),
        (
            [
                aiohttp.ClientConnectorCertificateError(
                    SimpleNamespace(host="h", port=1, is_ssl=True),  # type: ignore[arg-type]
                    ssl.SSLCertVerificationError("self-signed"),
                )
            ],
            "its certificate is not trusted",
        ),
    ],
)
def test_what_the_hub_does_not_do_is_told(
    monkeypatch: pytest.MonkeyPatch, answers: list[FakeAnswer | Exception], told: str
) -> None:
    with pytest.raises(ServiceError, match=told) as caught:
        ensured(monkeypatch, *answers)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"HostName=h;DeviceId=d;SharedAccessKey={KEY}", "a device's connection string"),
        ("HostName=h;SharedAccessKeyName=owner", "has no SharedAccessKey; copy it again, whole"),
        ("", "has no HostName"),
        (STRING.replace("hub.example.net", "hub example/net"), "HostName is not a host name"),
        (STRING.replace(KEY, KEY[:-3]), "SharedAccessKey"),
    ],
)
def test_a_connection_string_that_is_none(text: str, told: str) -> None:
    with pytest.raises(CredentialError, match=told) as caught:
        service.parse_connection_string(Secret(text))
    assert KEY[:-3] not in str(caught.value)
