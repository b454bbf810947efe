"""Runs on MicroPython: exhausted.py COUNT SEED. The heap runs out while something is going on.

What stands for other people's data takes all of the heap but a few bytes; only what is not the
board's, the link and the hub, has it back for as long as that works.
"""

import gc
import json
import random
import sys

from doubles.hub_script import Bench
from micropython import heap_lock, heap_unlock
from thermostat.control import ZoneControl
from thermostat.settings import defaults

COUNT, SEED = int(sys.argv[1]), int(sys.argv[2])
random.seed(SEED)
# Links of a chain, since a list would have to grow in one piece
hog = [None]


def exhaust(left):
    """Take pieces of the heap, large ones first, until not even `left` bytes are had at once."""
    size = 65536
    while size > left:
        try:
            hog[0] = (bytearray(size), hog[0])
        except MemoryError:
            size >>= 1


def elsewhere(method):
    """What is done outside of the board has a heap of its own."""

    def done(*arguments):
        is_exhausted = hog[0] is not None
        hog[0] = None
        result = method(*arguments)
        try:
            if is_exhausted:
                exhaust(16)
        except MemoryError:
            pass  # this call itself: that is no fall of the board's
        return result

    return done


def prepare(link):
    link.write = elsewhere(link.write)
    link.read_into = elsewhere(link.read_into)


def begin(bench, number):
    """What is going on when the heap runs out; the names of the hub's twin change each time."""
    kind = random.randrange(5)
    if kind == 0:
        bench.hub.call("report", str(number), b'{"since":"2026-11-21T05:35:00Z"}')
    elif kind == 1:
        bench.hub.change({"$version": number + 2, "zone": {"target": 20.5, "__t": "c"}})
    elif kind == 2:
        bench.handler.reports.append({"zone": {"temperature": 20.5}})
    elif kind == 3:
        bench.hub.link.end()
    return kind


def main():
    bench = Bench(prepare, random_below=random.randrange).lasting()
    bench.until("online")
    control = ZoneControl(defaults().control)
    found = {"falls": 0, "links": 0, "control": 0}
    bodies = [b"%d" % number for number in range(COUNT)]
    bench.run(5000)
    gc.collect()
    before = gc.mem_free()
    for number in range(COUNT):
        kind = begin(bench, number)
        exhaust(random.choice((16, 64, 256, 1024)))
        heap_lock()
        try:
            control.step(1000, 2000, True, 2100)
        except MemoryError:
            found["control"] += 1
        heap_unlock()
        try:
            if kind == 4:
                bench.send(bodies[number])
            for _ in range(20):
                bench.session.step()
                bench.clock.advance(20)
        except MemoryError:
            found["falls"] += 1
        hog[0] = None
        gc.collect()
        # As long as the supervisor rests before it starts the task anew
        bench.clock.advance(2000)
        bench.until("online").run(3000)
        bench.hub.forget()
        bench.log.records.clear()
        bench.hub.patches.clear()
        for kept in (bench.handler.twins, bench.handler.desired, bench.handler.commands):
            kept.clear()
        del bench.handler.statuses[:], bench.handler.reports[:]
    bench.run(120_000)
    bench.hub.forget()
    lost = bench.outbox.accepted - bench.outbox.dropped - len(bench.hub.numbers)
    found["accepted"] = bench.outbox.accepted
    found["lost"] = lost
    found["links"] = bench.session.failures
    bench.hub.numbers.clear()
    gc.collect()
    found["free_percent"] = 100 * gc.mem_free() // before
    return found


print("result " + json.dumps(main()))
