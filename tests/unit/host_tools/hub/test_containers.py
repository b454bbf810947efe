"""Containers on this machine: folders, and a blob store on loopback; nothing else."""

import asyncio
import os
import stat

import pytest
from aiohttp import web

from host_tools.hub import containers
from host_tools.hub.containers import LocalContainers
from host_tools.hub.state.containers import ContainerError


def write(uri, data=b"x", has_folders=True):
    asyncio.run(LocalContainers(has_folders).write(uri, "devices.txt", data))


def read(uri, has_folders=True):
    return asyncio.run(LocalContainers(has_folders).read(uri, "devices.txt"))


def test_a_folder(tmp_path):
    uri = (tmp_path / "a b").as_uri()
    with pytest.raises(ContainerError, match="no folder"):
        write(uri)
    (tmp_path / "a b").mkdir()
    with pytest.raises(ContainerError, match="cannot be read"):
        read(uri)
    write(uri, b"lines")
    assert read(uri) == b"lines"
    if os.name == "posix":
        mode = (tmp_path / "a b" / "devices.txt").stat().st_mode
        assert stat.S_IMODE(mode) == 0o600
    with pytest.raises(ContainerError, match="--expose"):
        write(uri, has_folders=False)


@pytest.mark.parametrize(
    "uri",
    [
        "file://elsewhere/tmp",
        "file:relative",
        "file://[x/y",
        "file://[x]/y",
        "http://[x/y",
        "https://account.blob.core.windows.net/c?sig=x",
        "http://192.0.2.1/c",
        "http://localhost.example/c",
        "ftp://127.0.0.1/c",
        "127.0.0.1/c",
        "",
    ],
)
def test_what_lies_elsewhere(uri):
    with pytest.raises(ContainerError) as caught:
        write(uri)
    assert "sig=" not in str(caught.value)


def test_a_blob_store(monkeypatch):
    blobs, seen = {}, []

    async def handle(request):
        seen.append((request.method, request.headers.get("x-ms-blob-type")))
        if request.query.get("sig") != "s&1":
            return web.Response(status=403)
        if request.method == "PUT":
            blobs[request.path] = await request.read()
            return web.Response(status=201)
        if request.path not in blobs:
            return web.Response(status=404)
        return web.Response(body=blobs[request.path])

    async def scene():
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}/account/c"
        reached = LocalContainers(has_folders=False)
        try:
            await reached.write(f"{base}?sv=1&sig=s%261", "devices.txt", b"lines")
            assert await reached.read(f"{base}/?sig=s%261", "devices.txt") == b"lines"
            with pytest.raises(ContainerError, match="answered 404"):
                await reached.read(f"{base}?sig=s%261", "other.txt")
            with pytest.raises(ContainerError, match="answered 403"):
                await reached.write(f"{base}?sig=wrong", "devices.txt", b"x")
            monkeypatch.setattr(containers, "MAX_BLOB_BYTES", 4)
            with pytest.raises(ContainerError, match="longer than 4"):
                await reached.read(f"{base}?sig=s%261", "devices.txt")
        finally:
            await runner.cleanup()
        with pytest.raises(ContainerError, match="cannot be reached"):
            await reached.read(f"{base}?sig=s%261", "devices.txt")

    asyncio.run(scene())
    assert blobs == {"/account/c/devices.txt": b"lines"}
    assert seen[:2] == [("PUT", "BlockBlob"), ("GET", None)]
