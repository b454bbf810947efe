"""Runs on MicroPython: what may arrive in place of a provisioning service's answer, and in the
properties of a message.

    answers.py dps|bags COUNT SEED
"""

import sys

from doubles.damage import JSON_MARKS, JSON_TRAPS, Damage, parts, report
from doubles.dps_script import DpsBench, FakeService
from doubles.hub_script import publish
from iothub.errors import ProtocolError
from iothub.identity import parse
from iothub.topics import UNRESERVED, decode, encode, parse_bag

TOPIC_MARKS = b"/?&=%$"
# Stands for the id of the question that is out
RID = b"7777"
TOPICS = (
    b"$dps/registrations/res/202/?$rid=7777&retry-after=3",
    b"$dps/registrations/res/200/?$rid=7777",
    b"$dps/registrations/res/200/?$rid=7777",
    b"$dps/registrations/res/429/?$rid=7777&retry-after=5",
    b"$dps/registrations/res/401/?$rid=7777",
)
BODIES = (
    b'{"operationId":"4.op","status":"assigning"}',
    b'{"operationId":"4.op","status":"assigned","registrationState":{"assignedHub":'
    b'"hub.example.net","deviceId":"stove-1","status":"assigned","etag":"x"}}',
    b'{"operationId":"4.op","status":"failed","registrationState":{"errorCode":401002}}',
    b'{"errorCode":429001,"message":"too many","trackingId":"x"}',
    b'{"operationId":"4.op","status":"disabled","registrationState":{"deviceId":"stove-1"}}',
)
TRAPS = [b"200", b"202", b"-1", b"299", b"300", b"428", b"429", b"1e3", b"retry-after", b"$rid"]
TRAPS += [b'"assigned"', b'"failed"', b'"unassigned"', b'"assignedHub"', b'";x509=true"', b'"#"']
TRAPS += [b'"h;DeviceId=d"', b'"a/b"', b'"%00"', b'"' + b"x" * 300 + b'"', b'"\\u0000"', b"99999"]
STATES = ["waiting", "connecting", "subscribing", "asking", "pausing", "assigned"]
# The wait before a try is 5 minutes at most, one that the service asks for 10
MOST_MS = 700_000
STEP_MS = 500


class Silent(FakeService):
    """Answers no question: each input is an answer. A question is one whatever came before."""

    def _publish(self, kind, body):
        topic = body[2 : 2 + (body[0] << 8 | body[1])]
        for byte in b"#+\0":
            assert byte not in topic, topic
        assert topic.count(b"$rid=") == 1, topic


class Dps:
    """An input is the answer to the question that is out: topic, line feed, body."""

    def __init__(self):
        seeds = []
        for topic in TOPICS:
            for body in BODIES:
                seeds.append(parts(topic, TOPIC_MARKS) + [b"\n"] + parts(body, JSON_MARKS))
        self.damage = Damage(seeds, TRAPS + list(JSON_TRAPS))
        self.heard = 0
        self.begin()

    def begin(self):
        self.bench = DpsBench(Silent())
        self.until("asking")

    def step(self, advance_ms):
        """Nothing but a time to wait comes out, and the state is one that there is."""
        found = self.bench.provisioning
        pause_ms = found.step()
        assert 0 <= pause_ms <= 1000, pause_ms
        assert found.state in STATES, found.state
        self.bench.clock.advance(advance_ms)

    def until(self, state):
        passed_ms = 0
        while self.bench.provisioning.state != state:
            assert passed_ms <= MOST_MS, self.bench.provisioning.state
            self.step(STEP_MS)
            passed_ms += STEP_MS

    def say(self, topic, body):
        number = b"%d" % self.bench.provisioning._questions
        self.bench.service.say(publish(topic.replace(RID, number), body))
        self.step(1)

    def hear(self, data):
        bench = self.bench
        topic, _, body = data.partition(b"\n")
        self.say(topic[:2000], body[:4000])
        found = bench.provisioning
        is_taken = found.state in ("pausing", "assigned")
        if found.state == "assigned":
            # A hub and a device that are none never get so far
            who = parse("HostName=" + found.host + ";DeviceId=" + found.device_id + ";x509=true")
            assert (who.host, who.device_id) == (found.host, found.device_id)
            self.begin()
        else:
            assert not found.host
            self.until("asking")
            self.heard += 1
            if self.heard % 50 == 0:
                # Whatever it heard: a right answer still leads to the hub
                self.say(TOPICS[1], BODIES[1])
                assert found.state == "assigned", found.state
                self.begin()
        self.bench.log.records.clear()
        self.bench.service.connects.clear()
        del self.bench.dialer.links[:-1]
        self.bench.dialer.dialed.clear()
        return is_taken


class Bags:
    """Properties are read, or refused; what was read is written and read again, the same."""

    def __init__(self):
        bags = (
            b"%24.mid=1&%24.ct=application%2Fjson&a=b&c&d=&temp%C3%A9rature=21%20%C2%B0C",
            b"$rid=1&$version=4",
            b"a=%31+2&b=%25&%26=%3D",
        )
        traps = [b"%", b"%2", b"%zz", b"%ff", b"%c3%28", b"%C0%80", b"%ed%a0%80", b"%f5%80%80%80"]
        traps += [b"&", b"=", b"&&", b"a", b"a=b&" * 64, b"%00", b"\xc3\xa9", b"\xff", b"x" * 300]
        self.damage = Damage([parts(bag, b"&=%$") for bag in bags], traps)

    def hear(self, data):
        try:
            text = data.decode()
        except ValueError:
            return False  # the client refuses it before
        assert decode(encode(text).decode()) == text
        try:
            bag = parse_bag(text)
        except ProtocolError:
            return False
        for behind in text.encode().split(b"%")[1:]:
            assert not behind[:2].lower().strip(b"0123456789abcdef"), "a bad escape"
            assert len(behind) >= 2, "half an escape"
        assert type(bag) is dict
        assert len(bag) <= 64
        pairs = []
        for name, value in bag.items():
            assert type(name) is str
            assert name
            pair = encode(name)
            if value is not None:
                pair = encode(value, pair + b"=")
            for byte in pair:
                assert byte in UNRESERVED or byte in b"%=", pair
            pairs.append(pair.decode())
        assert parse_bag("&".join(pairs)) == bag, bag
        return True


KINDS = {"dps": Dps, "bags": Bags}
report(KINDS[sys.argv[1]](), sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
