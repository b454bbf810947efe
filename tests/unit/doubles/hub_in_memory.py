"""A whole hub in memory, whose clock the test turns: `hub.clock.now_s += 60`."""

from host_tools.hub.state.hub import Hub
from host_tools.hub.storage import Storage


class Clock:
    def __init__(self, now_s=1_700_000_000.0):
        self.now_s = now_s

    def __call__(self):
        return self.now_s


def make_hub(*device_ids, path=None):
    """`path`: keep the state in that file instead."""
    hub = Hub("hub.example.net", Storage(path), Clock())
    for device_id in device_ids:
        if not hub.registry.exists(device_id):
            hub.registry.create({"deviceId": device_id})
    return hub
