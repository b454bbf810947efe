"""What the firmware is measured beside."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import sys
import tarfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from host_tools.simulation import Parts
from host_tools.tree import cache_folder

AZURE_DEVICE = [sys.executable, str(Path(__file__).with_name("azure_device.py"))]

_END_LIMIT_S = 30.0
_IOTC = "micropython-iotc-1.1.0"
_IOTC_SHA256 = "271ddd1734c11e469164c22cc36513cd1905c8f8613988b20b236d8f6d7ed3cc"


def umqtt_bytes(made: Parts) -> int:
    """Of umqtt.simple as it is, compiled."""
    return sum(path.stat().st_size for path in made.library.rglob("*.mpy"))


def iotc() -> Path | None:
    """The folder with the package iotc, fetched by name and verified; None: not to be had.

    pip refuses its archive, which has no setup.py; the package index's own listing names it.
    """
    folder = cache_folder() / "peers" / _IOTC
    if folder.exists():
        return folder
    try:
        content = _download("micropython-iotc", f"{_IOTC}.tar.gz")
    except (OSError, LookupError, ValueError) as error:
        print(f"micropython-iotc: peer not to be had: {error}", flush=True)
        return None
    partial = folder.with_name(f"{_IOTC}.{os.getpid()}.part")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive.getmembers():
            _, _, name = member.name.partition("/")
            file = archive.extractfile(member) if name.startswith("iotc/") else None
            if file is not None:
                (partial / name).parent.mkdir(parents=True, exist_ok=True)
                (partial / name).write_bytes(file.read())
    os.replace(partial, folder)
    return folder


def _download(project: str, name: str) -> bytes:
    """Raises LookupError, ValueError, OSError."""
    # Late: it takes long to load
    from pypi_simple import PyPISimple

    with PyPISimple() as index:
        packages = index.get_project_page(project).packages
        package = next((each for each in packages if each.filename == name), None)
        if package is None:
            raise LookupError(f"the package index does not list {name}")
        content: bytes = index.s.get(package.url, timeout=60).content
    if hashlib.sha256(content).hexdigest() != _IOTC_SHA256:
        raise ValueError(f"{name} is not the pinned one: its SHA-256 differs")
    return content


def azure_environment(connection_string: str, ca_bundle: Path) -> Mapping[str, str]:
    """For AZURE_DEVICE."""
    return {
        **os.environ,
        "SSL_CERT_FILE": str(ca_bundle),
        "IOTHUB_DEVICE_CONNECTION_STRING": connection_string,
    }


@asynccontextmanager
async def azure_process(
    text: str, ca_bundle: Path, *what: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """AZURE_DEVICE as a process, ended by the end of its input."""
    process = await asyncio.create_subprocess_exec(
        *AZURE_DEVICE,
        *what,
        env=azure_environment(text, ca_bundle),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        try:
            await asyncio.wait_for(process.communicate(), _END_LIMIT_S)
        except asyncio.TimeoutError:
            process.kill()
            await process.wait()
