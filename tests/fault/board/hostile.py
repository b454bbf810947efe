"""Runs on MicroPython: what a hostile hub may send, against the code that reads it first.

    hostile.py framing|lengths|topics|json COUNT SEED

`doubles.damage` makes most of the inputs and tells what came of them.
"""

import gc
import random
import sys

from doubles.appliance import HIGHEST, LOWEST, Bench
from doubles.clock import FakeClock
from doubles.damage import JSON_MARKS, JSON_TRAPS, Damage, parts, report
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
# Stands for a version that is new to the device
_VERSION = b"7777"
_PATCHES = (
    b'{"thermostat1":{"__t":"c","targetTemperature":21.5},"$version":7777}',
    b'{"thermostat2":{"targetTemperature":-1e9,"__t":"c"},"$version":7777,"x":[1,{"y":null}]}',
    b'{"$version":7777,"thermostat1":{"targetTemperature":null,"other":"text\\u00e9"}}',
    b'{"thermostat1":{"targetTemperature":45.0},"$version":7777,"serialNumber":"1"}',
)
_TWINS = (
    b'{"desired":{"thermostat1":{"__t":"c","targetTemperature":22},"$version":7777},'
    b'"reported":{"thermostat1":{"__t":"c","targetTemperature":{"ac":200,"av":3,"value":22}},'
    b'"serialNumber":"1","$version":4}}',
    b'{"desired":{"$version":7777},"reported":{"thermostat2":null,"$version":1}}',
)
_TOPIC_TRAPS = [b"x" * 3000, b"\xc3\xa9", b"\xc3", b"\0", b"$rid=2", b"%00", b"%2", b"thermostat1"]
_TOPIC_TRAPS += [b"#", b"+", b"%", b"/", b"?", b"&", b"=", b"$rid=", b"%24rid=3", b"-1", b"1e3"]
_STEPS = 64


def _fields(data):
    """A packet shorter than 128 bytes in its parts: kind, length, the topic's length, ..."""
    end = 4 + data[3] if data[0] & 0xF0 == 0x30 else 4
    found = data[:1], data[1:2], data[2:4], data[4:end], data[end:]
    return [each for each in found if each]


class Mute:
    def on_bytes(self, link, data):
        pass


class Framing:
    """One client, which hears each input whole and byte by byte."""

    def __init__(self):
        traps = (
            b"\x30",
            b"\x32",
            b"\x40",
            b"\xff\xff\xff\x7f",
            b"\xff\xff",
            b"\0",
            b"\0\0",
            b"\2",
        )
        self.damage = Damage([_fields(each) for each in _PACKETS], traps)
        self.clock = FakeClock()
        self.heard = []
        settings = Settings()
        self.limit_ms = settings.packet_timeout_ms + 1000
        self.client = Client(_DEVICE.encode(), "hub", self.clock, settings)
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

    def hear(self, data):
        whole, split = self.story(data, 0), self.story(data, 1)
        assert whole == split, (whole, split)
        assert whole[-1] != "no end"
        return whole[-1] == "whole"


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


class TooLong:
    """Makes beginnings of packets that are longer than any buffer."""

    def __init__(self, least):
        self.least = least
        self.made = self.near = 0

    def next(self):
        length = self.least << random.randrange(1, 15)
        length = min((1 << 28) - 1, length + random.randrange(length))
        self.made += 1
        self.near += 1
        digits = [length & 127 | 128, length >> 7 & 127 | 128, length >> 14 & 127 | 128]
        return bytes([0x30] + digits + [length >> 21])


class Lengths:
    """Packets are drained, or the connection given up, with hardly any heap."""

    def __init__(self):
        settings = Settings()
        self.damage = TooLong(settings.receive_bytes)
        self.link = Endless()
        self.client = Client(_DEVICE.encode(), "hub", FakeClock(), settings)
        self.client.set_callback(lambda topic, body: None)

    def hear(self, data):
        client, link = self.client, self.link
        client.open(link)
        client.return_code = 0
        link.head = data
        link.left = data[1] & 127 | (data[2] & 127) << 7 | (data[3] & 127) << 14 | data[4] << 21
        gc.collect()
        gc.disable()
        before = gc.mem_alloc()
        try:
            while client.check_msg() is None:
                if not (client.has_more or link.head or link.left):
                    break
            is_drained = not link.left
        except ProtocolError:
            is_drained = False
        more = gc.mem_alloc() - before
        gc.enable()
        assert more <= 2048, more
        return is_drained


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


class Topics:
    def __init__(self):
        self.known = heads(_DEVICE)
        seeds = [parts(each.encode(), b"/?&=%$*") for each in _TOPICS]
        self.damage = Damage(seeds, _TOPIC_TRAPS)

    def hear(self, data):
        try:
            found = parse(data, self.known)
        except ProtocolError:
            return False
        assert is_right(data, *found), found
        return True


class Bodies:
    """Twins, patches and the payloads of commands, for a device whose set points have bounds."""

    def __init__(self):
        self.damage = Damage([parts(each, JSON_MARKS) for each in _PATCHES + _TWINS], JSON_TRAPS)
        self.number = 0

    def hear(self, data):
        if self.number % 100 == 0:
            self.bench = Bench()
            self.bench.hub.connect()
        self.number += 1
        bench = self.bench
        if self.number % 20 == 0:
            bench.log.records.clear()
        before = [zone.target for zone in bench.zones.values()]
        is_taken = False
        try:
            found = exchange._parse_json(data.replace(_VERSION, b"%d" % bench.version()))
            if exchange._is_versioned(found):
                bench.device.on_desired(found)
                is_taken = True
            elif self.is_twin(found):
                bench.device.on_twin(found)
                is_taken = True
            status, _ = bench.device.on_command("thermostat1*getMaxMinReport", found)
            assert status in (400, 404, 500), status
        except ProtocolError:
            assert before == [zone.target for zone in bench.zones.values()]
        for zone in bench.zones.values():
            assert LOWEST <= zone.target <= HIGHEST, zone.target
        # What the device says of it is JSON, and comes to an end
        bench.hub.drain()
        bench.hub.patches.clear()
        return is_taken

    def is_twin(self, found):
        """As the exchange sees it before the device does."""
        if not isinstance(found, dict) or not isinstance(found.get("reported"), dict):
            return False
        return exchange._is_versioned(found.get("desired"))


KINDS = {"framing": Framing, "lengths": Lengths, "topics": Topics, "json": Bodies}
report(KINDS[sys.argv[1]](), sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
