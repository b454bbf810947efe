"""A hub and its session in one: what the Plug and Play part sees of both.

`FakeSession` takes telemetry; `FakeHub` keeps a twin by the hub's own rules (merge, null
deletes, versions) and drives a handler as `iothub.session` does.
"""

import json


class FakeSession:
    """Copies what is sent into a buffer; allocates nothing in `send`."""

    def __init__(self, room=512):
        self.buffer = bytearray(room)
        self.size = 0
        self.topic = None
        self.sent = 0
        self.takes = True

    def telemetry_topic(self, component=""):
        return b"topic of " + component.encode()

    def send(self, topic, payload, size):
        for i in range(size):
            self.buffer[i] = payload[i]
        self.size = size
        self.topic = topic
        self.sent += 1
        return self.takes

    def text(self):
        return bytes(self.buffer[: self.size]).decode()

    def value(self):
        return json.loads(self.text())


class FakeHub:
    """The twin of one device. Everything passes through JSON, as on the wire."""

    def __init__(self, handler):
        self.handler = handler
        self.desired = {"$version": 1}
        self.reported = {"$version": 1}
        self.patches = []  # reported patches as they came
        self.is_cut = False  # answers do not arrive

    def connect(self):
        """Connect, let the handler read the twin, and take what it reports."""
        self.handler.on_twin(_copy({"desired": self.desired, "reported": self.reported}))
        self.handler.on_online()
        return self.drain()

    def write_desired(self, patch, version=None):
        """Merge into desired and raise the version, as a service's write does; tell nobody."""
        _merge(self.desired, _copy(patch))
        self.desired["$version"] = version or self.desired["$version"] + 1

    def desire(self, patch, version=None):
        """The service writes desired values; the device is told, and answers."""
        self.write_desired(patch, version)
        told = _copy(patch)
        told["$version"] = self.desired["$version"]
        self.handler.on_desired(told)
        return self.drain()

    def drain(self, status=204):
        """Take reported patches until there are none; return those that came."""
        came = []
        for _ in range(100):
            patch = self.handler.next_report()
            if patch is None:
                self.patches += came
                return came
            came.append(_copy(patch))
            self._answer(patch, status)
        raise AssertionError("the handler reports without end")

    def _answer(self, patch, status):
        if status == 204:
            _merge(self.reported, _copy(patch))
            self.reported["$version"] += 1
        if not self.is_cut:
            self.handler.on_reported(status)


def _copy(value):
    return json.loads(json.dumps(value))


def _merge(target, patch):
    for key in patch:
        value = patch[key]
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = value
