"""The containers that imports and exports of this hub reach: those on this machine.

Either a folder, `file:///absolute/path`, or a blob store on loopback (as Microsoft's Azurite is),
`http://127.0.0.1:10000/account/container?sas`. What lies elsewhere is Azure's: use Azure's hub.
Source: Azure Storage REST, "Put Blob", "Get Blob".
"""

from __future__ import annotations

import asyncio
import ipaddress
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import aiohttp

from host_tools.hub.state.containers import ContainerError

MAX_BLOB_BYTES = 64 * 1024 * 1024  # some 50,000 identities with their twins
TIMEOUT_S = 30
_STORAGE_VERSION = "2021-04-10"


class LocalContainers:
    """`has_folders`: whether folders count. Not when other machines reach the hub: who has its
    key could write files here."""

    def __init__(self, has_folders: bool) -> None:
        self._has_folders = has_folders

    async def read(self, uri: str, name: str) -> bytes:
        """Raises: ContainerError."""
        if uri.lower().startswith("file:"):
            return await asyncio.to_thread(_read_file, self._folder(uri) / name)
        return await _request("GET", uri, name, None)

    async def write(self, uri: str, name: str, data: bytes) -> None:
        """Raises: ContainerError."""
        if uri.lower().startswith("file:"):
            await asyncio.to_thread(_write_file, self._folder(uri) / name, data)
        else:
            await _request("PUT", uri, name, data)

    def _folder(self, uri: str) -> Path:
        if not self._has_folders:
            raise ContainerError("folders are not for a hub that other machines reach (--expose)")
        folder = _path(uri)
        if not folder.is_dir():
            raise ContainerError(f"there is no folder {folder}")
        return folder


def _path(uri: str) -> Path:
    """Raises: ContainerError."""
    try:
        parts = urlsplit(uri)
        path = Path(unquote(parts.path))
        if parts.netloc in ("", "localhost") and path.is_absolute():
            return path
    except ValueError:
        pass  # a host in brackets that is no address
    raise ContainerError("a folder is written as file:///absolute/path")


def _read_file(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BLOB_BYTES:
            raise ContainerError(f"{path.name} is longer than {MAX_BLOB_BYTES} bytes")
        return path.read_bytes()
    except OSError as error:
        raise ContainerError(f"{path} cannot be read ({error.strerror})") from None


def _write_file(path: Path, data: bytes) -> None:
    """With keys in it: for the owner alone."""
    try:
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_bytes(data)
    except OSError as error:
        raise ContainerError(f"{path} cannot be written ({error.strerror})") from None


async def _request(verb: str, uri: str, name: str, data: bytes | None) -> bytes:
    headers = {"x-ms-version": _STORAGE_VERSION}
    if data is not None:
        headers["x-ms-blob-type"] = "BlockBlob"
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(
                verb, _blob_uri(uri, name), data=data, headers=headers, allow_redirects=False
            ) as answer,
        ):
            if answer.status not in (200, 201):
                raise ContainerError(f"the blob store answered {answer.status} for {name}")
            found = await answer.content.read(MAX_BLOB_BYTES + 1)
            while len(found) <= MAX_BLOB_BYTES and (more := await answer.content.readany()):
                found += more
    except (aiohttp.ClientError, asyncio.TimeoutError, ValueError) as error:
        raise ContainerError(
            f"the blob store cannot be reached ({type(error).__name__})"
        ) from None
    if len(found) > MAX_BLOB_BYTES:
        raise ContainerError(f"{name} is longer than {MAX_BLOB_BYTES} bytes")
    return found


def _blob_uri(uri: str, name: str) -> str:
    """The address of one blob: the key (SAS) stays behind it. Raises: ContainerError."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https") or not _is_loopback(parts.hostname or ""):
        raise ContainerError(
            "this hub reaches containers on this machine only: a folder, file:///path, or a blob "
            "store on 127.0.0.1"
        )
    path = f"{parts.path.rstrip('/')}/{name}"
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
