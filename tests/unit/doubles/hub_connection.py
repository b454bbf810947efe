"""A device's connection to the hub, without a wire: it records, and answers methods."""

import asyncio
import json


class FakeConnection:
    """`methods` maps names to functions payload → (status, result); None: no answer at all."""

    def __init__(self, hub=None, device_id="d1", methods=None):
        self.hub = hub
        self.device_id = device_id
        self.methods = methods
        self.requests = []
        self.patches = []
        self.wakes = 0
        self.closed = None

    def send_method(self, name, rid, payload_json):
        if self.methods is None:
            return False
        self.requests.append((name, rid, payload_json))
        handler = self.methods.get(name, lambda payload: (404, None))
        if handler is not None:
            status, result = handler(json.loads(payload_json))
            body = b"" if result is None else json.dumps(result).encode()
            asyncio.get_running_loop().call_soon(
                self.hub.methods.answer, self.device_id, rid, status, body
            )
        return True

    def send_desired(self, patch, version):
        self.patches.append((patch, version))

    def wake_c2d(self):
        self.wakes += 1

    def close(self, reason):
        self.closed = reason
