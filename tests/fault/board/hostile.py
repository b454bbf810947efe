"""Runs on MicroPython: what a hostile hub may send, against the code that reads it first.

    hostile.py framing|lengths|topics|json COUNT SEED

Inputs are recorded ones with a few bytes changed, cut, doubled or inserted, and one in four is
noise. The result tells how many of them the reader took.
"""

import gc
import json
import random
import sys

from doubles.appliance import HIGHEST, LOWEST, Bench
from doubles.clock import FakeClock
from doubles.hub_script import packet, publish
from doubles.link import FakeLink
from doubles.settings import Settings
from iothub import exchange
from iothub.errors import LinkError, ProtocolError
from iothub.mqtt import Client
from iothub.topics import heads, parse

_DEVICE = "stove-1"
_TOPICS = (
    "$iothub/twin/res/200/?$rid=1&$version=4",
    "$iothub/twin/res/204/?$rid=77",
    "$iothub/twin/PATCH/properties/desired/?$version=3",
    "$iothub/methods/POST/thermostat1*getMaxMinReport/?$rid=a-7",
    "devices/stove-1/messages/devicebound/%24.mid=1&a=b&c",
    "devices/stove-2/messages/devicebound/a=b",
)
_PACKETS = [publish(topic, b'{"a":1,"$version":3}') for topic in _TOPICS]
_PACKETS += [
    publish(_TOPICS[4], b"hello", 1, 5),
    b"\x40\2\0\1",
    b"\xd0\0",
    packet(0x90, b"\0\1\1\1\1\1"),
]
_PATCHES = (
    b'{"thermostat1":{"__t":"c","targetTemperature":21.5},"$version":%d}',
    b'{"thermostat2":{"targetTemperature":-1e9,"__t":"c"},"$version":%d,"x":[1,{"y":null}]}',
    b'{"$version":%d,"thermostat1":{"targetTemperature":null,"other":"text\\u00e9"}}',
    b'{"thermostat1":{"targetTemperature":45.0},"$version":%d,"serialNumber":"1"}',
)
# What readers stumble over: MicroPython's own takes some of these
_TRAPS = (
    b'1e999 -1e999 NaN Infinity [,] ,"$version":1 \xff\xfe \0 " \\ 1e-400 fal {} [] null'.split()
    + [b"9" * 400, b"[" * 300, b'{"a":' * 100]
)
_STEPS = 64


def change(data, traps):
    """`data` with one to three places made wrong; one in four is noise instead."""
    if not random.randrange(4):
        return bytes([random.randrange(256) for _ in range(random.randrange(40))])
    data = bytearray(data)
    for _ in range(1 + random.randrange(3)):
        at = random.randrange(len(data) + 1)
        kind = random.randrange(5)
        if kind == 0:
            data = data[:at]
        elif kind == 1:
            data = data[:at] + data[at + random.randrange(4) :]
        elif kind == 2:
            data = data[:at] + traps[random.randrange(len(traps))] + data[at:]
        elif at < len(data):
            data[at] = random.randrange(256)
        if not data:
            break
    return bytes(data)


class Mute:
    def on_bytes(self, link, data):
        pass


class Framing:
    """One client, which hears each input whole and byte by byte."""

    def __init__(self):
        self.clock = FakeClock()
        self.heard = []
        settings = Settings()
        self.limit_ms = settings.packet_timeout_ms + 1000
        self.client = Client(_DEVICE.encode(), "hub", b"user", self.clock, settings)
        self.client.set_callback(lambda topic, body: self.heard.append(topic))

    def story(self, data, chunk):
        """What came of it, in order; the last word is "whole" or the error's name."""
        client, link = self.client, FakeLink(Mute())
        link.chunk = chunk
        client.open(link)
        link.feed(b"\x20\2\0\0" + data)
        told = self.heard = []
        try:
            for _ in range(_STEPS):
                kind = client.check_msg()
                if kind is not None:
                    told.append(kind)
                elif not client.has_more and not link.incoming:
                    break
            else:
                return told + ["no end"]
            # What was begun and never comes whole is given up, by itself
            self.clock.advance(self.limit_ms)
            client.check_msg()
        except (LinkError, ProtocolError) as error:
            return told + [type(error).__name__]
        return told + ["whole"]

    def run(self, count):
        bad = taken = 0
        for _ in range(count):
            data = change(
                _PACKETS[random.randrange(len(_PACKETS))], (b"\x30", b"\xff\xff\xff\x7f")
            )
            whole, split = self.story(data, 0), self.story(data, 1)
            bad += whole != split or whole[-1] == "no end"
            taken += whole[-1] == "whole"
        return bad, taken


class Endless:
    """A link that has `left` bytes, none of which is kept anywhere."""

    def __init__(self):
        self.head = b""
        self.left = 0

    def read_into(self, buffer, offset, size):
        if self.head:
            buffer[offset] = self.head[0]
            self.head = self.head[1:]
            return 1
        size = min(size, self.left)
        self.left -= size
        return size

    def write(self, buffer, offset, size):
        return size


def lengths(count):
    """(too much heap, drained) of so many packets that are longer than any buffer."""
    clock, settings, link = FakeClock(), Settings(), Endless()
    client = Client(_DEVICE.encode(), "hub", b"user", clock, settings)
    client.set_callback(lambda topic, body: None)
    bad = drained = 0
    for _ in range(count):
        length = settings.receive_bytes << random.randrange(1, 15)
        length = min((1 << 28) - 1, length + random.randrange(length))
        client.open(link)
        client.return_code = 0
        digits = [length & 127 | 128, length >> 7 & 127 | 128, length >> 14 & 127 | 128]
        link.head, link.left = bytes([0x30] + digits + [length >> 21]), length
        gc.collect()
        gc.disable()
        before = gc.mem_alloc()
        try:
            while client.check_msg() is None:
                if not (client.has_more or link.head or link.left):
                    break
            drained += not link.left
        except ProtocolError:
            pass
        bad += gc.mem_alloc() - before > 2048
        gc.enable()
    return bad, drained


def is_right(topic, kind, what, request_id):
    """Whether the topic is what it was taken for, and what is echoed of it is harmless."""
    begin = heads(_DEVICE)[kind].encode()
    harmless = b"0123456789-._~abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    if not topic.startswith(begin):
        return False
    if kind == 3 or kind == 1:
        return request_id is None
    if not 1 <= len(request_id) <= 64:
        return False
    return all(each in harmless for each in request_id.encode())


def topics(count):
    """(taken for what they are not, taken)"""
    known, bad, taken = heads(_DEVICE), 0, 0
    traps = (
        b"#",
        b"+",
        b"\0",
        b"%",
        b"%2",
        b"%00",
        b"/",
        b"?",
        b"&$rid=2",
        b"x" * 3000,
        b"\xc3\xa9",
    )
    for _ in range(count):
        topic = change(_TOPICS[random.randrange(len(_TOPICS))].encode(), traps)
        try:
            bad += not is_right(topic, *parse(topic, known))
            taken += 1
        except ProtocolError:
            pass
    return bad, taken


def bodies(count):
    """(set points outside their bounds or states that moved, patches taken)"""
    bad = taken = 0
    bench = None
    for number in range(count):
        if number % 100 == 0:
            bench = Bench()
            bench.hub.connect()
        body = change(_PATCHES[random.randrange(len(_PATCHES))] % bench.version(), _TRAPS)
        before = [zone.target for zone in bench.zones.values()]
        try:
            patch = exchange._parse_json(body)
            if exchange._is_versioned(patch):
                bench.device.on_desired(patch)
                taken += 1
            status, _ = bench.device.on_command("thermostat1*getMaxMinReport", patch)
            bad += status not in (400, 404, 500)
        except ProtocolError:
            bad += before != [zone.target for zone in bench.zones.values()]
        for zone in bench.zones.values():
            bad += not LOWEST <= zone.target <= HIGHEST
        if number % 20 == 0:
            bench.log.records.clear()
    return bad, taken


def main(kind, count, seed):
    random.seed(seed)
    work = {"framing": Framing().run, "lengths": lengths, "topics": topics, "json": bodies}[kind]
    work(min(count, 300))  # what is kept once for all is there after this
    gc.collect()
    before = gc.mem_alloc()
    bad, taken = work(count)
    gc.collect()
    found = {"bad": bad, "taken": taken, "growth": gc.mem_alloc() - before}
    print("result " + json.dumps(found))


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
