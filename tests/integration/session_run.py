"""Runs on MicroPython: a session over real TLS. HOST PORT ROOT-FILE MESSAGES TELEMETRY-BYTES

Sends numbered messages, a few a second, until all are acknowledged. Prints the counters and
the latest that a task of its own, asked to wake every 20 ms, has woken.
"""

import asyncio
import socket
import sys
import time

from doubles.settings import Settings
from iothub.client import run
from iothub.greeting import greet
from iothub.identity import parse
from iothub.outbox import Outbox
from iothub.session import Session
from system.clock import Clock
from system.dialer import Dialer
from system.log import Log
from system.tls import make_context

_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


class Handler:
    def on_twin(self, document):
        pass

    def on_desired(self, patch):
        pass

    def on_command(self, name, payload):
        return 200, payload

    def on_message(self, payload, properties):
        pass

    def next_report(self):
        return None

    def on_reported(self, status):
        pass

    def on_report_lost(self):
        pass

    def on_online(self):
        pass


class Latest:
    late_ms = 0


async def _watch():
    while True:
        due = time.ticks_add(time.ticks_ms(), 20)
        await asyncio.sleep_ms(20)
        Latest.late_ms = max(Latest.late_ms, time.ticks_diff(time.ticks_ms(), due))


def resolver(host, port):
    return socket.getaddrinfo(host, port)[0][-1]


async def main(host, port, path, count, telemetry_bytes):
    with open(path, "rb") as file:
        roots = [file.read()]
    clock = Clock()
    settings = Settings()
    settings.port = port
    settings.backoff_base_ms = 100
    settings.backoff_cap_ms = 1000
    settings.telemetry_bytes = telemetry_bytes
    outbox = Outbox(
        settings.window, settings.packet_bytes, settings.telemetry_bytes, settings.answer_bytes
    )
    session = Session(
        parse("HostName=" + host + ";DeviceId=stove-1;SharedAccessKey=" + _KEY),
        Dialer(make_context(roots), clock, resolver),
        clock,
        lambda n: n // 2,
        outbox,
        Log("iothub"),
        Handler(),
        settings,
        greet,
    )
    shell = asyncio.create_task(run(session, clock))
    watch = asyncio.create_task(_watch())
    topic = session.telemetry_topic()
    for i in range(count):
        body = b"%d" % i
        session.send(topic, body, len(body))
        await asyncio.sleep_ms(10)
    for _ in range(2000):
        if outbox.telemetry.end == outbox.answers.end == 0:
            break
        await asyncio.sleep_ms(10)
    session.stop()
    await shell
    watch.cancel()
    print("sent", outbox.accepted, "acked", outbox.telemetry.acked, "dropped", outbox.dropped)
    print("late", Latest.late_ms)


host, port, path, count, telemetry_bytes = sys.argv[1:6]
asyncio.run(main(host, int(port), path, int(count), int(telemetry_bytes)))
