"""Asking the provisioning service, on virtual time: what is said, what is waited for, and that
no answer of it is the end. Fault row F27."""

from doubles.clock import FakeClock
from doubles.dps_script import ASSIGNED, ASSIGNING, SCOPE, SERVICE, DpsBench, FakeService

MINUTE_MS = 60_000
# The long wait, and what a try takes
LONG_MS = 330_000


def state(status, **found):
    return {"operationId": "4.op", "status": status, "registrationState": found}


def error(code):
    return {"errorCode": code, "message": "a text that may hold anything", "trackingId": "x"}


def test_the_dialogue():
    bench = DpsBench()
    assert bench.run(MINUTE_MS) < 5000
    found = bench.provisioning
    assert (found.host, found.device_id) == ("hub.example.net", "stove-1")
    assert bench.dialer.dialed == [(SERVICE, 8883)]
    texts, keep_alive, flags = bench.service.connects[0]
    assert texts[0] == "stove-1"
    assert texts[1] == SCOPE + "/registrations/stove-1/api-version=2019-03-31"
    start = "SharedAccessSignature sr=%s%%2Fregistrations%%2Fstove-1&sig=" % SCOPE
    assert texts[2].startswith(start)
    assert texts[2].endswith("&skn=registration")
    assert (keep_alive, flags) == (60, 0xC0)
    assert bench.service.filters == ["$dps/registrations/res/#"]
    (first_ms, register, body), (second_ms, status, nothing) = bench.service.asked
    assert register == "$dps/registrations/PUT/iotdps-register/?$rid=1"
    assert body == {
        "registrationId": "stove-1",
        "payload": {"modelId": "dtmi:com:example:Thermostat;1"},
    }
    expected = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=4.op"
    assert (status, nothing) == (expected, None)
    assert second_ms - first_ms >= 3000
    # It leaves in order, and its link is closed
    assert bench.service.parted == 1
    assert bench.dialer.links[0].is_closed
    assert bench.log.has("info", "assigned to hub.example.net as stove-1")


def test_a_device_with_a_certificate_sends_no_password():
    bench = DpsBench(key=False)
    bench.run(MINUTE_MS)
    texts, _, flags = bench.service.connects[0]
    assert (len(texts), flags) == (2, 0x80)


def test_it_waits_as_long_as_it_is_told():
    for retry_s in (1, 7, 60, None):
        script = [(202, ASSIGNING, retry_s), (202, ASSIGNING, retry_s), (200, ASSIGNED, None)]
        bench = DpsBench(FakeService(script))
        bench.run(10 * MINUTE_MS)
        times = [at for at, _, _ in bench.service.asked]
        for at in range(len(times) - 1):
            waited_ms = times[at + 1] - times[at]
            assert 1000 * (retry_s or 3) <= waited_ms < 1000 * (retry_s or 3) + 2000


def test_a_wait_beyond_reason_is_cut():
    bench = DpsBench(FakeService([(202, ASSIGNING, 10**9), (200, ASSIGNED, None)]))
    assert bench.run(11 * MINUTE_MS) < 10.5 * MINUTE_MS


def test_throttled_and_broken_services_are_asked_again_on_the_same_link():
    for status in (429, 500, 503):
        script = [(status, error(status * 1000 + 1), 5), (202, ASSIGNING, 3)]
        script += [(status, error(1), 5), (200, ASSIGNED, None)]
        bench = DpsBench(FakeService(script))
        bench.run(MINUTE_MS)
        assert bench.provisioning.state == "assigned"
        assert len(bench.dialer.links) == 1
        # The first question is asked anew, the second goes on with its operation
        topics = [topic.split("/?")[0][-8:] for _, topic, _ in bench.service.asked]
        assert topics == ["register", "register", "onstatus", "onstatus"]


def test_what_somebody_has_to_act_upon_is_told_and_tried_rarely():
    refusals = [
        (401, error(401002), None),
        (404, error(404201), None),
        (409, error(409000), None),
        (200, state("failed", errorCode=404201), None),
        (200, state("disabled", errorCode=403012), None),
    ]
    for refusal in refusals:
        bench = DpsBench(FakeService([refusal] * 3))
        passed_ms = bench.run(60 * MINUTE_MS)
        assert bench.provisioning.state == "assigned"
        assert bench.provisioning.failures == 3
        # Each of the long waits is 150 to 300 s
        assert 3 * 150_000 <= passed_ms <= 3 * LONG_MS + 10_000
        assert bench.log.has("error", "check the enrollment")
        assert not bench.log.has("error", "anything")


def test_a_refused_connection_says_what_to_check():
    bench = DpsBench(FakeService(connacks=[5]))
    bench.run(10 * MINUTE_MS)
    assert bench.provisioning.state == "assigned"
    assert bench.log.has("error", "check id scope, registration id")


def test_no_dial_before_a_plausible_date_and_one_line_about_it():
    bench = DpsBench(clock=FakeClock(unix_s=0))
    bench.run(MINUTE_MS)
    assert bench.dialer.dialed == []
    assert bench.log.has("warning", "the date is not known")
    bench.clock.set_unix_time(1795239300)
    assert bench.run(MINUTE_MS) < MINUTE_MS


def test_a_service_that_never_decides_is_left_and_tried_again():
    bench = DpsBench(FakeService([(202, ASSIGNING, 1)] * 45))
    bench.run(60 * MINUTE_MS)
    assert bench.provisioning.state == "assigned"
    assert bench.log.has("warning", "no assignment in time")


def test_hubs_and_documents_that_cannot_be():
    unusable = [
        [],
        "text",
        {},
        state("assigned"),
        state("assigned", assignedHub="", deviceId="d"),
        state("assigned", assignedHub="hub;DeviceId=x", deviceId="d"),
        state("assigned", assignedHub="hub.example.net", deviceId=7),
        state("assigned", assignedHub=None, deviceId="d"),
        state("perhaps"),
        {"status": "assigning"},
        {"status": "assigning", "operationId": ""},
        {"status": "assigning", "operationId": "x" * 300},
        {"status": "assigning", "operationId": {}},
    ]
    for document in unusable:
        bench = DpsBench(FakeService([(200, document, None)]))
        bench.run(10 * MINUTE_MS)
        assert bench.provisioning.state == "assigned", document
        assert bench.provisioning.failures == 1, document
        assert bench.provisioning.host == "hub.example.net"


# What a service may do to a device, and how often in vain: F27 asks for the right end each time
SCRIPTS = {
    "nothing": {},
    "slow": {"script": [(202, ASSIGNING, 3)] * 9},
    "throttled": {"script": [(429, error(429001), 5)] * 3},
    "broken": {"script": [(500, error(500000), 2), (503, error(503001), 2)]},
    "unauthorized": {"script": [(401, error(401002), None)]},
    "unknown": {"script": [(404, error(404201), None), (404, error(404202), None)]},
    "failed": {"script": [(202, ASSIGNING, 1), (200, state("failed", errorCode=1), None)]},
    "disabled": {"script": [(200, state("disabled"), None)] * 2},
    "refused": {"connacks": [5, 4]},
    "unavailable": {"connacks": [3, 3, 3]},
    "silent": {"script": ["silent", (202, ASSIGNING, 1), "silent"]},
    "cut": {"script": ["cut", (202, ASSIGNING, 1), "cut"]},
    "garbage": {"script": ["garbage", "huge", (202, ASSIGNING, 1), "garbage"]},
    "stranger": {"script": ["stranger", "flood", "stranger"]},
}
TIMES = 20


def test_every_script_ends_with_the_device_assigned_and_none_hangs():
    for name in sorted(SCRIPTS):
        for seed in range(TIMES):
            found = {part: list(steps) for part, steps in SCRIPTS[name].items()}
            service = FakeService(**found)
            bench = DpsBench(service, random_below=Dice(seed).below, prepare=pieces(seed))
            passed_ms = bench.run(90 * MINUTE_MS)
            assert bench.provisioning.state == "assigned", (name, seed, bench.log.lines[-3:])
            assert passed_ms < 3 * LONG_MS + MINUTE_MS, (name, seed)
            assert bench.provisioning.host == "hub.example.net"
            for link in bench.dialer.links:
                assert link.is_closed, (name, seed)


def pieces(seed):
    """Bytes come and go in pieces of a size that depends on the seed."""

    def prepare(link):
        link.chunk = (0, 1, 3, 7, 64)[seed % 5]

    return prepare


class Dice:
    """The same on both interpreters. Source: Numerical Recipes, an LCG modulo 2**32."""

    def __init__(self, seed):
        self._value = seed * 7919 + 1

    def below(self, n):
        self._value = (self._value * 1664525 + 1013904223) & 0xFFFFFFFF
        return (self._value >> 8) % n


def test_an_unreachable_service_is_tried_for_ever_and_found_again():
    """Neither a name that is not found nor a port that is closed is the end, at any step."""

    def refused(link):
        link.refuse = refusal

    for refusal, prepare in (("ENOENT", None), ("ECONNREFUSED", refused)):
        bench = DpsBench(prepare=prepare)
        bench.dialer.refuse = "" if prepare else refusal
        bench.run(60 * MINUTE_MS)
        # The middle of the jitter: 9 growing waits, then one in 150 s
        assert 20 < len(bench.dialer.dialed) < 45
        assert bench.provisioning.failures == len(bench.dialer.dialed)
        assert bench.log.has("warning", refusal + "; next try in")
        for link in bench.dialer.links:
            assert link.is_closed
        bench.dialer.refuse, bench.dialer.prepare = "", None
        assert bench.run(6 * MINUTE_MS) < 5.5 * MINUTE_MS


def test_a_refused_certificate_is_a_slow_retry_with_its_reason():
    bench = DpsBench(prepare=lambda link: setattr(link, "refuse", "TLS: no such authority"))
    bench.run(140_000)
    assert len(bench.dialer.dialed) == 1
    assert bench.log.has("error", "no such authority; next try in")
    bench.run(200_000)
    assert len(bench.dialer.dialed) == 2


def test_silence_at_each_stage_ends_in_a_new_attempt():
    """A handshake has 30 s, CONNACK 20 s, each later answer 10 s; then it is asked anew."""
    for mute, limit_ms in (("dial", 30_000), ("connack", 20_000), ("suback", 10_000)):
        bench = DpsBench()
        bench.service.mute = (mute,)
        if mute == "dial":
            bench.dialer.prepare = lambda link: setattr(link, "calls_until_ready", 1 << 20)
        bench.run(limit_ms)
        assert bench.provisioning.failures == 0, mute
        bench.run(200)
        assert bench.provisioning.failures == 1, mute
        assert bench.log.has("warning", "no answer in time"), mute
        assert bench.dialer.links[0].is_closed, mute
        bench.service.mute, bench.dialer.prepare = (), None
        bench.run(MINUTE_MS)
        assert bench.provisioning.state == "assigned", mute


def test_a_heap_without_room_for_tls_costs_the_try_and_nothing_else():
    """Also where there is none for telling either."""

    def fail(*values):
        raise MemoryError

    def prepare(link):
        if len(bench.dialer.links) == 1:
            link.ready = fail

    for tells in (True, False):
        bench = DpsBench(prepare=prepare)
        if not tells:
            bench.log.warning = fail
        bench.run(MINUTE_MS)
        assert bench.provisioning.state == "assigned"
        assert bench.provisioning.failures == 1
        assert bench.dialer.links[0].is_closed


def test_once_assigned_it_asks_nothing_more():
    bench = DpsBench()
    bench.run(MINUTE_MS)
    asked = len(bench.service.asked)
    for _ in range(600):
        assert bench.provisioning.step() == 1000
        bench.clock.advance(1000)
    assert bench.provisioning.state == "assigned"
    assert (len(bench.service.asked), len(bench.dialer.dialed)) == (asked, 1)
