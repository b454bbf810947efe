"""Raw HTTP to the REST door: any bytes in, status, headers and body out."""

import asyncio
import base64
import json

from aiohttp import web

from host_tools.hub.endpoints.dps import add_provisioning
from host_tools.hub.endpoints.rest import rest_app
from host_tools.hub.wire.sas import build_token

VERSION = "?api-version=2021-04-12"


class Reply:
    def __init__(self, raw):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        _, status, self.reason = lines[0].split(" ", 2)
        self.status = int(status)
        self.headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()

    @property
    def json(self):
        return json.loads(self.body)


def token(hub, policy="iothubowner", ttl_s=60):
    key = base64.b64decode(hub.policies.get(policy).primary_key)
    return build_token("hub.example.net", key, int(hub.clock()) + ttl_s, policy)


def raw_request(hub, verb, target, body=b"", headers=None, policy="iothubowner"):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    fields = {
        "Host": "hub.example.net",
        "Connection": "close",
        "Content-Length": str(len(body)),
        "Content-Type": "application/json; charset=utf-8",
        "Authorization": token(hub, policy) if policy else None,
        **(headers or {}),
    }
    lines = [f"{verb} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


async def exchange(hub, requests, before=None):
    app = rest_app(hub)
    add_provisioning(app, hub)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        if before:
            before()
        return [await _one(runner.addresses[0][1], raw) for raw in requests]
    finally:
        await runner.cleanup()


async def _one(port, raw):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(raw)
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return Reply(answer)


def ask(hub, verb, target, body=b"", headers=None, policy="iothubowner", before=None):
    raw = raw_request(hub, verb, target, body, headers, policy)
    return asyncio.run(exchange(hub, [raw], before))[0]
