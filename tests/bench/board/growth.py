"""What so many messages, and so many desired patches, leave in the heap: PUBLISHES PATCHES."""

import asyncio
import gc
import sys

from budget_telemetry import grow
from doubles.hub_script import Bench, publish
from iothub.client import run
from pnp.device import Device
from pnp.model import Interface
from system import log
from system.clock import Clock
from system.modules import later

_WARM = 100


class Settings:
    report_bytes = 1500
    logged_bytes = 80


def device():
    root = Interface()
    root.properties = {"targetTemperature": ("double", True)}
    apply = later(("pnp.desired",), "apply")
    made = Device([("", root)], log.Log("pnp"), Settings, apply)
    made.component().bind_property("targetTemperature", float, 21.0)
    return made


async def patched(count):
    bench = Bench(clock=Clock()).lasting()
    made = bench.session.handler = bench.session.exchange.handler = device()
    task = asyncio.create_task(run(bench.session, bench.clock))
    before = 0
    for version in range(2, count + _WARM + 2):
        if version == _WARM:
            gc.collect()
            before = gc.mem_alloc()
        while bench.session.state != "online":
            await asyncio.sleep_ms(0)
        topic = "$iothub/twin/PATCH/properties/desired/?$version=%d" % version
        body = b'{"targetTemperature":%d.5,"$version":%d}' % (15 + version % 10, version)
        bench.hub.say(publish(topic, body))
        while made.desired_version < version:
            await asyncio.sleep_ms(0)
        bench.hub.patches.clear()
    gc.collect()
    after = gc.mem_alloc()
    task.cancel()
    assert made.accepted_count == count + _WARM
    return after - before


log.level = 40
print("growth_publishes", max(0, asyncio.run(grow(int(sys.argv[1])))))
print("growth_patches", max(0, asyncio.run(patched(int(sys.argv[2])))))
