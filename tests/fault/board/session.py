"""Runs on MicroPython: the true session over real TLS, through whatever the network does to it.

Its argument is a JSON file of:
    connection  a connection string; port; root, a file
    kills       it goes on until so many links were lost,
    messages    so many numbered messages were sent,
    seconds     and so many seconds have gone by; then until all are acknowledged
    patience    seconds, if it is not to wait a minute for that
    dns         "address:port" of a name server, if names are to be looked up
A task that stands for the control's tick wakes every 50 ms and notes how late.
"""

import asyncio
import json
import random
import socket
import sys

from doubles.settings import Settings
from fault_handler import Handler
from iothub.client import run
from iothub.greeting import greet
from iothub.identity import parse
from iothub.outbox import Outbox
from iothub.session import Session
from system.clock import Clock
from system.dialer import Dialer
from system.log import Log
from system.names import Resolver
from system.tls import make_context

_TICK_MS = 50
_MOST_TICKS = 40_000
_LAST_S = 60


class Pace(Settings):
    keep_alive_s = 5
    backoff_base_ms = 20
    backoff_cap_ms = 100
    dial_timeout_ms = 3000
    packet_timeout_ms = 2000
    answer_timeout_ms = 2000
    ack_timeout_ms = 3000
    telemetry_bytes = 60_000


def random_below(n):
    return random.randrange(n)


def resolve(host, port):
    return socket.getaddrinfo(host, port)[0][-1]


class Ticks:
    """How late each tick was, in ms."""

    def __init__(self, clock):
        self.clock = clock
        self.late = bytearray(_MOST_TICKS)
        self.count = 0
        self.worst = 0

    async def run(self):
        clock = self.clock
        while self.count < _MOST_TICKS:
            due = clock.ticks_add(clock.ticks_ms(), _TICK_MS)
            await clock.sleep_ms(_TICK_MS)
            late = clock.ticks_diff(clock.ticks_ms(), due)
            self.worst = max(self.worst, late)
            self.late[self.count] = min(late, 255)
            self.count += 1

    def percentile(self, percent):
        ordered = sorted(self.late[: self.count])
        return ordered[min(self.count - 1, self.count * percent // 100)]


async def main(order):
    with open(order["root"], "rb") as file:
        context = make_context([file.read()])
    clock, settings, handler = Clock(), Pace(), Handler()
    settings.port = order["port"]
    resolver = resolve
    if "dns" in order:
        resolver = Resolver(lambda: [order["dns"]], random_below).resolve
        settings.dial_timeout_ms = 30_000
    outbox = Outbox(
        settings.window, settings.packet_bytes, settings.telemetry_bytes, settings.answer_bytes
    )
    session = Session(
        parse(order["connection"]),
        Dialer(context, clock, resolver, settings.dial_timeout_ms),
        clock,
        random_below,
        outbox,
        Log("iothub"),
        handler,
        settings,
        greet,
    )
    shell = asyncio.create_task(run(session, clock))
    ticks = Ticks(clock)
    watch = asyncio.create_task(ticks.run())
    topic = session.telemetry_topic()
    began_s, sent = clock.uptime_s(), 0
    while (
        session.failures < order["kills"]
        or sent < order["messages"]
        or clock.uptime_s() - began_s < order["seconds"]
    ):
        # While it is away: not more than the outbox holds, for what is dropped is another test
        if outbox.telemetry.end < settings.telemetry_bytes // 2:
            body = b"%d" % sent
            session.send(topic, body, len(body))
            sent += 1
        await asyncio.sleep_ms(20)
        assert clock.uptime_s() - began_s < 1500, "it never ends"
    for _ in range(order.get("patience", _LAST_S) * 50):
        if outbox.telemetry.end == outbox.answers.end == 0:
            break
        await asyncio.sleep_ms(20)
    session.stop()
    await shell
    watch.cancel()
    found = {
        "sent": sent,
        "acked": outbox.telemetry.acked,
        "dropped": outbox.dropped,
        "failures": session.failures,
        "connects": session.connects,
        "calls": handler.calls,
        "ticks": ticks.count,
        "late_p99_ms": ticks.percentile(99),
        "late_worst_ms": ticks.worst,
    }
    print("result " + json.dumps(found))


with open(sys.argv[1]) as file:
    given = json.load(file)
asyncio.run(main(given))
