"""Garbage of one telemetry message, one token and one tick, and of the peer's first two."""

import asyncio
import gc

import micropython
import minimal_hub
import test_room
from budget_telemetry import measure
from doubles.keys import KEY
from iothub.identity import parse
from iothub.sas import build_token

HOST = "my-hub.azure-devices.net"
DEVICE = "thermostat-000017"
EXPIRY_S = 1795239300
TIMES = 20


class QuietSocket:
    """Takes everything, and answers each QoS 1 message of umqtt.simple; costs no heap."""

    def __init__(self):
        self.answers = (b"\x40", b"\x02", b"")
        self.at = 0
        self.pid = bytearray(2)

    def write(self, data, size=-1):
        if size == 2:  # the last of a packet's that does is its id
            self.pid[0] = data[0]
            self.pid[1] = data[1]

    def read(self, size):
        if size == 2:
            self.at = 0
            return self.pid
        self.at += 1
        return self.answers[self.at - 1]

    def setblocking(self, flag):
        pass


def cost(work):
    """Bytes that `work()` leaves behind."""
    work()
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for _ in range(TIMES):
        work()
    used = gc.mem_alloc() - before
    gc.enable()
    return used // TIMES


used, writes = asyncio.run(measure(TIMES))
assert writes == TIMES
print("telemetry_garbage", used)
identity = parse("HostName=%s;DeviceId=%s;SharedAccessKey=%s" % (HOST, DEVICE, KEY))
print("token_garbage", cost(lambda: build_token(identity, EXPIRY_S)))
print("peer_token_garbage", cost(lambda: minimal_hub.token(HOST, DEVICE, KEY, EXPIRY_S)))
peer = minimal_hub.Hub(HOST, DEVICE, KEY, 8883, EXPIRY_S)
peer.client.sock = QuietSocket()
print("peer_telemetry_garbage", cost(lambda: peer.send({"temperature": 21.53})))
bench = test_room.Bench()
for _ in range(5):
    bench.second()
micropython.heap_lock()
try:
    for _ in range(1000):
        bench.room.regulate(1000)
finally:
    micropython.heap_unlock()
print("tick_garbage 0")
