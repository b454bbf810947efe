"""A provisioning service in a page: it answers as a test has written, and then as it should."""

import json

from doubles.hub_script import FakeHub, publish

SCOPE = "0ne00A1B2C3"
SERVICE = "dps.example.net"
REGISTRATION = "stove-1"
ASSIGNED = {
    "operationId": "4.op",
    "status": "assigned",
    "registrationState": {"assignedHub": "hub.example.net", "deviceId": "stove-1"},
}
ASSIGNING = {"operationId": "4.op", "status": "assigning"}


class FakeService(FakeHub):
    """`script`: what the next questions are answered with, (status, document, retry-after), or
    one of the words "silent", "cut", "garbage", "stranger", "flood", "huge". Then 202 and
    assigned. `connacks`: codes for the next connections."""

    def __init__(self, script=(), connacks=()):
        FakeHub.__init__(self)
        self.script = list(script)
        self.connacks = list(connacks)
        self.asked = []  # (ms, topic, document or None)
        self.clock = None
        self.is_over = False

    def _connect(self, body):
        self.connack = self.connacks.pop(0) if self.connacks else 0
        FakeHub._connect(self, body)

    def _publish(self, kind, body):
        size = body[0] << 8 | body[1]
        topic, body = body[2 : 2 + size].decode(), body[2 + size :]
        assert kind == 0x30, "a question at QoS 0"
        self.asked.append(
            (self.clock.source.milliseconds, topic, json.loads(body) if body else None)
        )
        rid = topic.split("$rid=")[1].split("&")[0]
        step = self.script.pop(0) if self.script else None
        if step is None:
            is_status = "operationstatus" in topic
            step = (200, ASSIGNED, None) if is_status else (202, ASSIGNING, 3)
        if step == "silent":
            return
        if step == "cut":
            self.link.end()
        elif step == "garbage":
            self.say(publish("$dps/registrations/res/202/?$rid=%s" % rid, b"{no json"))
        elif step == "stranger":
            self.say(publish("$dps/registrations/res/200/?$rid=9%s" % rid, b"{}"))
            self.say(publish("$dps/registrations/res/x/?$rid=%s" % rid, b"{}"))
            self.say(publish("$iothub/methods/POST/x/?$rid=1", b"{}"))
        elif step == "huge":
            self.say(publish("$dps/registrations/res/200/?$rid=%s" % rid, b" " * 9000))
        elif step == "flood":
            for _ in range(200):
                self.say(publish("$dps/registrations/res/202/?$rid=0", b"{}"))
            self.answer(rid, 202, ASSIGNING, 3)
        else:
            self.answer(rid, *step)

    def answer(self, rid, status, document, retry_s):
        topic = "$dps/registrations/res/%d/?$rid=%s" % (status, rid)
        if retry_s is not None:
            topic += "&retry-after=%d" % retry_s
        self.say(publish(topic, json.dumps(document).encode()))


class DpsBench:
    """A `Provisioning` with everything around it made of doubles."""

    def __init__(self, service=None, prepare=None, clock=None, random_below=None, key=True):
        from doubles.clock import FakeClock
        from doubles.keys import KEY
        from doubles.link import FakeDialer
        from doubles.log import FakeLog
        from doubles.settings import Settings
        from iothub.dps import Provisioning
        from iothub.identity import parse

        self.service = service or FakeService()
        self.clock = self.service.clock = clock or FakeClock()
        self.log = FakeLog()
        self.dialer = FakeDialer(self.service, prepare)
        secret = "SharedAccessKey=" + KEY if key else "x509=true"
        who = parse("HostName=%s;DeviceId=%s;%s" % (SERVICE, REGISTRATION, secret))
        who.host = SCOPE
        self.provisioning = Provisioning(
            who,
            {"modelId": "dtmi:com:example:Thermostat;1"},
            self.dialer,
            self.clock,
            random_below or (lambda n: n // 2),
            self.log,
            Settings(),
        )

    def run(self, limit_ms, until="assigned"):
        """Step as the shell would, until it is in the state `until`; the ms that passed."""
        passed_ms = 0
        while self.provisioning.state != until and passed_ms < limit_ms:
            pause_ms = self.provisioning.step()
            assert 0 <= pause_ms <= 1000
            delay_ms = max(1, min(pause_ms, 20))
            self.clock.advance(delay_ms)
            passed_ms += delay_ms
        return passed_ms
