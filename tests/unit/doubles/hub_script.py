"""A hub in a page: it reads packets on its own, and answers as a test has written."""

import json

DEVICE = "stove-1"
HOST = "hub.example.net"
# Who publishes telemetry elsewhere is thrown out
EVENTS = "devices/%s/messages/events/" % DEVICE


def packet(kind, body):
    head = bytearray([kind])
    length = len(body)
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    head.append(length)
    return bytes(head) + bytes(body)


def publish(topic, body=b"", qos=0, packet_id=1, dup=False):
    topic = topic.encode() if isinstance(topic, str) else topic
    number = bytes([packet_id >> 8, packet_id & 255]) if qos else b""
    kind = 0x30 | qos << 1 | (8 if dup else 0)
    return packet(kind, bytes([len(topic) >> 8, len(topic) & 255]) + topic + number + body)


class Arrived:
    """One telemetry packet, as the hub has read it."""

    def __init__(self, packet_id, dup, topic, body):
        self.packet_id = packet_id
        self.dup = dup
        self.topic = topic
        self.body = body


class FakeHub:
    """Answers everything correctly unless an attribute says otherwise."""

    def __init__(self):
        self.link = None
        self.connack = 0
        self.session_present = 0
        self.connects = []  # (client id, user, password, keep-alive, flags)
        self.filters = []
        self.suback = None  # list of codes instead of all granted
        self.telemetry = []  # Arrived
        self.numbers = None  # a set, for long runs: takes telemetry that is a number instead
        self.answers = []  # (topic, body) of command answers
        self.acknowledged = []  # packet ids that the device acknowledged
        self.patches = []  # reported patches
        self.pings = 0
        self.parted = 0  # DISCONNECTs
        self.desired = {"$version": 1}
        self.reported = {"$version": 1}
        self.twin_status = 200
        self.patch_status = 204
        self.reads = 0
        self.mute = ()  # kinds of answers not given: "connack suback puback twin patch pong"
        self.on_connack = b""  # sent right behind the CONNACK
        self._rest = b""
        self._links = None

    def on_bytes(self, link, data):
        if link is not self._links:
            self._links = self.link = link
            self._rest = b""
        self._rest += data
        while True:
            size = self._whole()
            if not size:
                return
            raw, self._rest = self._rest[:size], self._rest[size:]
            self._take(raw[0], raw[self._head :])

    def _whole(self):
        """Size of the first packet if all of it is here, else 0."""
        length = shift = 0
        for i in range(1, len(self._rest)):
            length |= (self._rest[i] & 127) << shift
            shift += 7
            if not self._rest[i] & 128:
                self._head = i + 1
                return i + 1 + length if len(self._rest) > i + length else 0
        return 0

    def say(self, data, answer=""):
        if answer not in self.mute:
            self.link.feed(data)

    def _take(self, kind, body):
        if kind == 0x10:
            self._connect(body)
        elif kind == 0x82:
            self._subscribe(body)
        elif kind & 0xF0 == 0x30:
            self._publish(kind, body)
        elif kind == 0x40:
            self.acknowledged.append(body[0] << 8 | body[1])
        elif kind == 0xC0:
            self.pings += 1
            self.say(b"\xd0\0", "pong")
        elif kind == 0xE0:
            self.parted += 1
            self.link.end()
        else:
            raise AssertionError("the device sent packet type 0x%02x" % kind)

    def _connect(self, body):
        assert body[:7] == b"\0\x04MQTT\x04"
        flags, keep_alive = body[7], body[8] << 8 | body[9]
        texts = []
        at = 10
        while at < len(body):
            size = body[at] << 8 | body[at + 1]
            texts.append(body[at + 2 : at + 2 + size].decode())
            at += 2 + size
        self.connects.append((texts, keep_alive, flags))
        self.say(bytes([0x20, 2, self.session_present, self.connack]), "connack")
        if self.connack:
            self.link.end()
        else:
            self.say(self.on_connack)

    def _subscribe(self, body):
        self.filters = []
        at = 2
        while at < len(body):
            size = body[at] << 8 | body[at + 1]
            self.filters.append(body[at + 2 : at + 2 + size].decode())
            assert body[at + 2 + size] == 1
            at += 3 + size
        codes = self.suback or [1] * len(self.filters)
        self.say(packet(0x90, bytes(body[:2]) + bytes(codes)), "suback")

    def _publish(self, kind, body):
        size = body[0] << 8 | body[1]
        topic = body[2 : 2 + size].decode()
        body = body[2 + size :]
        packet_id = 0
        if kind & 6:
            packet_id = body[0] << 8 | body[1]
            body = body[2:]
            assert packet_id, "packet id 0"
        if topic.startswith("devices/") and not topic.startswith(EVENTS):
            self.link.end()
            return
        if topic.startswith("devices/") and self.numbers is not None:
            self.numbers.add(int(body))
        elif topic.startswith("devices/"):
            self.telemetry.append(Arrived(packet_id, bool(kind & 8), topic, body))
        elif topic.startswith("$iothub/methods/res/"):
            self.answers.append((topic, body))
        elif topic.startswith("$iothub/twin/GET/"):
            self._read(topic)
        elif topic.startswith("$iothub/twin/PATCH/properties/reported/"):
            self._patch(topic, body)
        else:
            raise AssertionError("the device published to %s" % topic)
        if packet_id:
            self.say(bytes([0x40, 2, packet_id >> 8, packet_id & 255]), "puback")

    def _read(self, topic):
        self.reads += 1
        twin = {"desired": self.desired, "reported": self.reported}
        body = json.dumps(twin).encode() if self.twin_status == 200 else b""
        self.answer_read(topic.split("$rid=")[1], self.twin_status, body)

    def answer_read(self, rid, status, body):
        self.say(publish("$iothub/twin/res/%d/?$rid=%s" % (status, rid), body), "twin")

    def _patch(self, topic, body):
        self.patches.append(json.loads(body))
        rid = topic.split("$rid=")[1]
        topic = "$iothub/twin/res/%d/?$rid=%s&$version=7" % (self.patch_status, rid)
        self.say(publish(topic), "patch")

    # ---- what a service makes it send

    def call(self, name, rid="1", body=b""):
        self.say(publish("$iothub/methods/POST/%s/?$rid=%s" % (name, rid), body))

    def message(self, body, bag="", packet_id=1, dup=False):
        topic = "devices/%s/messages/devicebound/%s" % (DEVICE, bag)
        self.say(publish(topic, body, 1, packet_id, dup))

    def change(self, patch):
        topic = "$iothub/twin/PATCH/properties/desired/?$version=%d" % patch["$version"]
        self.say(publish(topic, json.dumps(patch).encode()))

    def forget(self):
        """For long runs: drop the records of connections, answers and patches."""
        del self.connects[:-1]
        self.answers.clear()
        self.acknowledged.clear()

    def bodies(self):
        return [each.body for each in self.telemetry]


class Recorder:
    """A handler that keeps what it is told."""

    def __init__(self):
        self.twins = []
        self.desired = []
        self.commands = []
        self.messages = []
        self.reports = []  # patches to send, the first is next
        self.statuses = []
        self.lost = 0
        self.online = 0
        self.answer = (200, None)
        self.raising = None

    def on_twin(self, document):
        self.twins.append(document)

    def on_desired(self, patch):
        self.desired.append(patch)

    def on_command(self, name, payload):
        self.commands.append((name, payload))
        return self.answer

    def on_message(self, payload, properties):
        if self.raising is not None:
            raise self.raising
        self.messages.append((payload, properties))

    def next_report(self):
        return self.reports[0] if self.reports else None

    def on_reported(self, status):
        self.statuses.append(status)
        self.reports.pop(0)

    def on_report_lost(self):
        self.lost += 1

    def on_online(self):
        self.online += 1


class Bench:
    """A session with everything around it made of doubles."""

    def __init__(self, prepare=None, settings=None, clock=None, random_below=None, session=None):
        from doubles.clock import FakeClock
        from doubles.keys import KEY
        from doubles.link import FakeDialer
        from doubles.log import FakeLog
        from doubles.settings import Settings
        from iothub.greeting import greet
        from iothub.identity import parse
        from iothub.outbox import Outbox

        if session is None:
            from iothub import session
        self.hub = FakeHub()
        self.handler = Recorder()
        self.clock = clock or FakeClock()
        self.log = FakeLog()
        self.dialer = FakeDialer(self.hub, prepare)
        self.settings = settings or Settings()
        self.outbox = Outbox(
            self.settings.window,
            self.settings.packet_bytes,
            self.settings.telemetry_bytes,
            self.settings.answer_bytes,
        )
        self.identity = parse("HostName=%s;DeviceId=%s;SharedAccessKey=%s" % (HOST, DEVICE, KEY))
        self.session = session.Session(
            self.identity,
            self.dialer,
            self.clock,
            random_below or (lambda n: n // 2),
            self.outbox,
            self.log,
            self.handler,
            self.settings,
            greet,
        )
        self.exchange = self.session.exchange
        self.topic = self.session.telemetry_topic()

    def run(self, ms):
        """Let virtual time pass, stepping as the shell would: when asked, and for data."""
        while ms > 0:
            delay = min(self._step(), ms)
            self.clock.advance(delay)
            ms -= delay
        return self

    def _step(self):
        pause_ms = self.session.step()
        link = self.exchange.link
        has_data = link is not None and (link.incoming or link.has_ended)
        return 1 if has_data else max(1, pause_ms)

    def lasting(self):
        """Keep nothing that grows with the length of a run; telemetry has to be numbers."""
        self.hub.numbers = set()
        self.dialer.is_forgetful = True
        return self

    def until(self, state, limit_ms=600_000):
        while self.session.state != state:
            assert limit_ms > 0, "the session stays %s" % self.session.state
            delay = self._step()
            self.clock.advance(delay)
            limit_ms -= delay
        return self

    def waiting(self):
        """Telemetry packets in the outbox."""
        queue, at, count = self.outbox.telemetry, 0, 0
        while at < queue.end:
            at += queue.size(at)
            count += 1
        assert at == queue.end
        return count

    def send(self, body):
        return self.session.send(self.topic, body, len(body))
