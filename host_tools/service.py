"""The few things that the tools ask of an IoT hub's registry, over its REST API.

The same for Azure and for the local hub; a small client of our own, so that provisioning a board
needs no SDK. Source: Microsoft, "IoT Hub REST API", Devices, version 2021-04-12.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import certifi

from host_tools.credentials import CredentialError, Secret, decoded_key
from host_tools.hub.wire.sas import build_token
from host_tools.problem import Problem

_API = "2021-04-12"
_TOKEN_LIFE_S = 300  # one command's worth
_TIMEOUT_S = 30
_ADDRESS = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?")


class ServiceError(Problem):
    """The hub did not do it; the text says why and what to do."""


@dataclass(frozen=True)
class ServiceConnection:
    """`address` is the host, with a port where it is not 443; `host` is without."""

    address: str
    policy: str
    key: bytes = field(repr=False)

    @property
    def host(self) -> str:
        return self.address.partition(":")[0]

    def token(self, now_s: float) -> str:
        return build_token(self.host, self.key, int(now_s) + _TOKEN_LIFE_S, self.policy)


def parse_connection_string(text: Secret) -> ServiceConnection:
    """Raises CredentialError, which holds no value."""
    fields = dict(part.partition("=")[::2] for part in text.reveal().strip().split(";"))
    if fields.get("DeviceId"):
        raise CredentialError(
            "this is a device's connection string, and the hub makes devices for services only; "
            "take the one of the policy registryReadWrite or iothubowner"
        )
    for name in ("HostName", "SharedAccessKeyName", "SharedAccessKey"):
        if not fields.get(name):
            raise CredentialError(
                f"the service connection string has no {name}; copy it again, whole"
            )
    if not _ADDRESS.fullmatch(fields["HostName"]):
        raise CredentialError("HostName is not a host name; copy the connection string again")
    key = decoded_key(fields["SharedAccessKey"], "the service connection string's SharedAccessKey")
    return ServiceConnection(fields["HostName"], fields["SharedAccessKeyName"], key)


def ensure_device(connection: ServiceConnection, device_id: str, ca: Path | None = None) -> Secret:
    """The primary key of the device, which is made if the hub has none of that name.

    `ca`: PEM of the hub's own authority; None: the public ones. Raises ServiceError.
    """
    try:
        return asyncio.run(_ensure_device(connection, device_id, ca))
    except (aiohttp.ClientError, asyncio.TimeoutError, ssl.SSLError, OSError) as error:
        raise ServiceError(
            f"the hub {connection.address} cannot be reached ({_reason(error)}); "
            "check that it runs, its name, and the network"
        ) from error


async def _ensure_device(connection: ServiceConnection, device_id: str, ca: Path | None) -> Secret:
    context = ssl.create_default_context(cafile=str(ca or certifi.where()))
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
    headers = {"Authorization": connection.token(time.time())}
    # trust_env stays off: a proxy would have to be told the token, and knows no local hub
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        url = f"https://{connection.address}/devices/{quote(device_id, safe='')}"
        found = await _call(session, context, "GET", url, None)
        if found is None:
            body = {"deviceId": device_id, "authentication": {"type": "sas"}}
            found = await _call(session, context, "PUT", url, body)
        return _primary_key(found, device_id)


async def _call(
    session: aiohttp.ClientSession,
    context: ssl.SSLContext,
    method: str,
    url: str,
    body: dict[str, Any] | None,
) -> dict[str, Any] | None:
    """The answer; None if there is no such device. Raises ServiceError."""
    request = session.request(
        method, url, params={"api-version": _API}, json=body, ssl=context, allow_redirects=False
    )
    async with request as answer:
        if answer.status == 404:
            return None
        if answer.status in (401, 403):
            raise ServiceError(
                "the hub refuses the service connection string; it may have been renewed, or its "
                "policy lacks registryWrite: take that of registryReadWrite or iothubowner"
            )
        if answer.status == 429:
            raise ServiceError("the hub is throttling; wait a minute and try again")
        if answer.status != 200:
            raise ServiceError(
                f"the hub answered {answer.status} {answer.reason}; check the device id"
            )
        return _parsed(await answer.read())


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    return _object(found)


def _object(found: object) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise ServiceError("the hub's answer is not that of an IoT hub; check the host name")
    return found


def _primary_key(found: dict[str, Any] | None, device_id: str) -> Secret:
    """Raises ServiceError for a device that has no key to give to a board."""
    if found is None:
        raise ServiceError("the hub knows no registry; check the host name")
    authentication = _object(found.get("authentication") or {})
    key = _object(authentication.get("symmetricKey") or {}).get("primaryKey")
    if not key:
        raise ServiceError(
            f"the device {device_id} exists and has no key, but authentication by "
            f"{authentication.get('type')}; use --certificate, or another --device-id"
        )
    if found.get("status") == "disabled":
        raise ServiceError(f"the device {device_id} is disabled on the hub; enable it there first")
    return Secret(str(key))


def _reason(error: Exception) -> str:
    """What is wrong in few words; aiohttp's own have no text for a time-out."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted"
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno
        return os.strerror(number) if number and number > 0 else str(error.os_error)
    return str(error) or type(error).__name__
