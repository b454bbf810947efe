"""A hub that sends anything at all: the session leaves it or lives on, and never raises."""

import gc

from doubles.hub_script import Bench, packet, publish
from doubles.settings import Settings

_SEEDS = (
    publish("$iothub/twin/res/200/?$rid=1", b'{"desired":{"$version":1},"reported":{}}'),
    publish("$iothub/twin/res/204/?$rid=2&$version=3"),
    publish("$iothub/twin/PATCH/properties/desired/?$version=3", b'{"a":1,"$version":3}'),
    publish("$iothub/methods/POST/reboot/?$rid=7", b'{"delay":1}'),
    publish("devices/stove-1/messages/devicebound/%24.mid=1&a=b", b"hello", 1, 5),
    b"\x40\2\0\1",
    b"\xd0\0",
    b"\x20\2\0\0",
    packet(0x90, b"\0\1\1\1\1\1"),
)


class Lcg:
    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 1103515245 + 12345) & 0x7FFFFFFF
        return (self.state >> 8) % n


def _hostile(random):
    """Two of three times a real packet, of which a byte or two are changed, cut or doubled."""
    data = bytearray(_SEEDS[random.below(len(_SEEDS))])
    kind = random.below(6)
    if kind == 0:
        return bytes([random.below(256) for _ in range(random.below(40))])
    if kind == 1:
        return bytes(data[: random.below(len(data))])
    for _ in range(kind - 1):
        data[random.below(len(data))] = random.below(256)
    return bytes(data)


def test_20000_hostile_packets_raise_nothing_and_stop_nothing():
    random = Lcg(20)
    settings = Settings()
    settings.backoff_cap_ms = 2000
    bench = Bench(settings=settings, random_below=random.below).lasting()
    online = 0
    for i in range(20_000):
        if bench.session.state == "online":
            online += 1
            bench.hub.say(_hostile(random))
            bench.run(20)
            # What it holds back of a packet is given up in time
            if i % 7 == 0:
                bench.run(500)
        else:
            bench.run(2000)
        if i % 100 == 0:
            bench.hub.forget()
            bench.log.records.clear()
            for kept in ("twins", "desired", "commands", "messages"):
                getattr(bench.handler, kept).clear()
    assert online > 10_000, online
    assert bench.session.connects > 1000
    assert bench.exchange.malformed > 1000
    bench.run(70_000)
    assert bench.session.state == "online"
    bench.send(b"1")
    bench.run(100)
    assert bench.waiting() == 0


def test_lengths_over_the_limit_take_no_heap():
    bench = Bench().lasting().until("online")
    gc.collect()
    for length in (9000, 70_000, 200_000):
        topic = b"devices/stove-1/messages/devicebound/"
        head = bytearray([0x30])
        left = length
        while left > 127:
            head.append(left & 127 | 128)
            left >>= 7
        head.append(left)
        bench.hub.say(bytes(head) + b"\0" + bytes([len(topic)]) + topic)
        left = length - 2 - len(topic)
        while left:
            part = min(left, 4096)
            bench.hub.say(bytes(part))
            bench.run(40)
            left -= part
        bench.run(1000)
        assert bench.session.state == "online", length
    assert bench.exchange.malformed == 3
    bench.hub.say(b"\x30\xff\xff\xff\x7f")
    bench.run(10)
    assert bench.session.state != "online"
