"""A day of a thermostat as it is configured by default, on virtual time: KIND. Prints NAME FIGURE.

KIND: `winter`    two heated rooms on a winter's day, a set point changed from afar at noon
      `restless`  temperatures that never rest: as many messages as the settings let through

A metered operation is each begun 4 KB of a message, of a twin read or of a reported patch, and of
512 bytes on the free tier; topics are counted as if they were content, keep-alive is free.
Bytes on the wire: each write is one TLS record, 29 bytes more than it carries (AES-GCM, TLS 1.2);
the TLS handshakes are not in them. Source: Microsoft, "IoT Hub pricing" and "quotas and
throttling", of which the facts confirm the units and not what else may be metered.
"""

import sys

from doubles.clock import FakeClock
from doubles.fs import FakeFlash
from doubles.hub_script import Bench, FakeHub
from doubles.log import FakeLog
from doubles.models import CONTROLLER, open_text
from doubles.rooms import Chance, Room, Weather
from pnp.desired import apply
from pnp.device import Device
from pnp.model import load
from thermostat.assembly import bind_zones, build_cloud, report_information
from thermostat.control import ZoneControl
from thermostat.history import History
from thermostat.setpoints import SetPoints
from thermostat.settings import defaults

DAY_S = 86400
SAMPLE_S = 2
FREE_UNIT_BYTES = 512
PAID_UNIT_BYTES = 4096
RECORD_OVERHEAD_BYTES = 29
PUBACK_BYTES = 4
NOON = {"thermostat1": {"__t": "c", "targetTemperature": 22}, "$version": 2}
INFORMATION = {
    "manufacturer": "Raspberry Pi",
    "model": "Pico W",
    "osName": "MicroPython",
    "processorArchitecture": "armv6m",
    "processorManufacturer": "Raspberry Pi",
    "totalStorage": 2048,
    "totalMemory": 264,
}


class Board:
    def unique_id(self):
        return "e6614104"

    def heap_in_use(self):
        return 90_000


class Meter(FakeHub):
    """The hub in a page, which counts what it is made to pay for."""

    def __init__(self):
        FakeHub.__init__(self)
        self.free = self.paid = self.messages = self.twins = 0
        self.wire = 0  # bytes, both ways
        self.least = 0  # of these, telemetry and its acknowledgements

    def on_bytes(self, link, data):
        self.wire += len(data) + RECORD_OVERHEAD_BYTES
        FakeHub.on_bytes(self, link, data)

    def say(self, data, answer=""):
        self.wire += len(data) + RECORD_OVERHEAD_BYTES
        FakeHub.say(self, data, answer)

    def _publish(self, kind, body):
        if body[2:10] == b"devices/":
            self.messages += 1
            head = 2 if len(body) < 128 else 3
            self.least += head + len(body) + PUBACK_BYTES + 2 * RECORD_OVERHEAD_BYTES
            self._meter(len(body))
        FakeHub._publish(self, kind, body)
        self.telemetry.clear()

    def _read(self, topic):
        self.twins += 1
        self._meter(len(repr(self.desired)) + len(repr(self.reported)))
        FakeHub._read(self, topic)

    def _patch(self, topic, body):
        self.twins += 1
        self._meter(len(body))
        FakeHub._patch(self, topic, body)
        self.patches.clear()

    def _meter(self, size):
        self.free += (size + FREE_UNIT_BYTES - 1) // FREE_UNIT_BYTES
        self.paid += (size + PAID_UNIT_BYTES - 1) // PAID_UNIT_BYTES


class Heated:
    """A room of the thermostat, its control at work in rooms made of numbers."""

    def __init__(self, zone, settings, clock, room, weather):
        self.name = zone.name
        self.zone = zone
        self.history = History(clock)
        self.temperature_centi_c = None
        self._control = ZoneControl(settings.control)
        self._room = room
        self._weather = weather

    def live(self, second, target_centi_c):
        outside_c = self._weather.at(second)
        self._room.advance(SAMPLE_S, outside_c, self._control.heat)
        measured = round(self._room.temperature_c * 100)
        self._control.step(SAMPLE_S * 1000, measured, True, target_centi_c)
        self.temperature_centi_c = self._control.temperature_centi_c
        self.history.add(self.temperature_centi_c)


class Restless:
    """A room that is a degree warmer or colder each time that it is looked at."""

    def __init__(self, zone, clock):
        self.name = zone.name
        self.zone = zone
        self.history = History(clock)
        self.temperature_centi_c = None

    def live(self, second, target_centi_c):
        self.temperature_centi_c = 2000 + 100 * (second // SAMPLE_S % 2)
        self.history.add(self.temperature_centi_c)


def rooms_of(kind, settings, clock):
    if kind == "restless":
        return [Restless(zone, clock) for zone in settings.zones]
    found = []
    for at, zone in enumerate(settings.zones):
        weather = Weather(4.0, 5.0, Chance(17))
        found.append(Heated(zone, settings, clock, Room(3 - at, 25.0), weather))
    return found


class Day:
    def __init__(self, kind):
        self.settings = settings = defaults()
        self.clock = clock = FakeClock()
        self.bench = bench = Bench(settings=settings.connection, clock=clock)
        self.hub = bench.dialer.peer = bench.hub = Meter()
        bench.dialer.is_forgetful = True
        log = FakeLog()
        device = Device(load(CONTROLLER, open_text), log, settings.connection, apply)
        bench.session.handler = bench.exchange.handler = device
        self.set_points = SetPoints("s.json", clock, log, FakeFlash())
        self.rooms = rooms_of(kind, settings, clock)
        zones = bind_zones(
            device, settings, self.set_points, self.rooms, bench.session, clock, log
        )
        report_information(device, INFORMATION)
        self.cloud = build_cloud(device, bench.session, zones, Board(), settings, clock, None)

    def pass_by(self):
        for second in range(DAY_S):
            if second % SAMPLE_S == 0:
                for room in self.rooms:
                    room.live(second, self.set_points.get(room.name, room.zone.target_centi_c))
            if second == DAY_S // 2:
                self.hub.desired = dict(NOON)
                self.hub.change(NOON)
            self.cloud.tend()
            self.bench.run(1000)
        self.bench.run(5000)
        outbox = self.bench.outbox
        assert outbox.telemetry.acked == outbox.accepted == self.hub.messages
        assert not outbox.dropped
        assert self.set_points.get("thermostat1", 0) == 2200


kind = sys.argv[1]
day = Day(kind)
day.pass_by()
hub = day.hub
print("operations", hub.free)
print("paid_operations", hub.paid)
print("messages", hub.messages)
print("twin_requests", hub.twins)
print("pings", hub.pings)
print("connections", day.bench.session.connects)
print("wire", hub.wire)
print("least", hub.least)
