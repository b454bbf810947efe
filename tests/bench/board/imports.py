"""The heap that is kept by importing the cloud layer, and by its peer. The second comes after
the first and shares its names, which is to the peer's advantage."""

import asyncio
import asyncio.core
import gc


def in_use():
    for _ in range(3):
        sum([0] * 256)  # no old pointer is left on the stack
        gc.collect()
    return gc.mem_alloc()


before = in_use()
import umqtt.simple

umqtt_alone = in_use() - before
import iothub.client
import iothub.session
import pnp.device
import pnp.telemetry

print("cloud_import_heap", in_use() - before)
between = in_use()
import minimal_hub

print("peer_import_heap", in_use() - between + umqtt_alone)
