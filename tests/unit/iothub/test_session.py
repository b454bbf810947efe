"""The life of a connection, on virtual time, against a scripted hub."""

from doubles.clock import FakeClock
from doubles.hub_script import DEVICE, HOST, Bench, publish
from doubles.settings import Settings
from doubles.umqtt18 import both
from expect import raises
from iothub.errors import Declined


def test_connects_subscribes_reads_the_twin_and_is_online():
    for session in both("iothub.session"):
        bench = Bench(session=session).until("online")
        texts, keep_alive, flags = bench.hub.connects[0]
        assert texts[0] == DEVICE
        assert texts[1].startswith("%s/%s/?api-version=2021-04-12" % (HOST, DEVICE))
        assert texts[2].startswith("SharedAccessSignature sr=%s%%2Fdevices%%2F" % HOST)
        assert (keep_alive, flags) == (60, 0xC0)
        assert bench.hub.filters == [
            "$iothub/twin/res/#",
            "$iothub/twin/PATCH/properties/desired/#",
            "$iothub/methods/POST/#",
            "devices/stove-1/messages/devicebound/#",
        ]
        assert bench.handler.twins == [{"desired": {"$version": 1}, "reported": {"$version": 1}}]
        assert bench.handler.online == 1
        # CONNECT alone; SUBSCRIBE and the twin's read in one flight
        assert len(bench.dialer.links[0].writes) == 2


def test_telemetry_arrives_once_and_is_acknowledged():
    bench = Bench().until("online")
    for i in range(10):
        assert bench.send(b'{"t":%d}' % i)
        bench.run(100)
    assert bench.hub.bodies() == [b'{"t":%d}' % i for i in range(10)]
    assert bench.hub.telemetry[0].topic == (
        "devices/stove-1/messages/events/%24.ct=application%2Fjson&%24.ce=utf-8"
    )
    assert (
        bench.outbox.accepted,
        bench.outbox.telemetry.acked,
        bench.outbox.dropped,
        bench.waiting(),
    ) == (10, 10, 0, 0)


def test_a_message_leaves_in_send_itself_with_one_write():
    bench = Bench().until("online")
    link = bench.dialer.links[0]
    writes = len(link.writes)
    bench.send(b"now")
    assert bench.hub.bodies() == [b"now"]
    assert len(link.writes) == writes + 1


def test_what_waited_carries_the_time_it_was_made():
    bench = Bench()
    bench.send(b"early")
    bench.until("online").run(1000)
    bench.send(b"late")
    bench.run(1000)
    early, late = bench.hub.telemetry
    assert early.topic.endswith("&iothub-creation-time-utc=2026-11-21T05%3A35%3A00Z")
    assert "creation" not in late.topic


def test_what_could_not_leave_carries_the_time_it_was_made():
    """On a link that is dead and not yet known to be, behind a full window; on one that takes
    nothing just now; behind others that wait."""
    bench = Bench().until("online")
    bench.hub.link.is_deaf = True
    for number in range(8):
        bench.send(b"%d" % number)
        bench.run(6000)
    bench.dialer.refuse = "EHOSTUNREACH"
    bench.run(5 * 3_600_000)
    assert bench.session.failures
    bench.dialer.refuse = ""
    bench.until("online", 310_000).run(1000)
    stamps = {arrived.body: "05%3A35%3A" in arrived.topic for arrived in bench.hub.telemetry}
    window = bench.settings.window
    assert stamps == {b"%d" % number: number >= window for number in range(8)}

    bench = Bench().until("online")
    bench.hub.link.is_stuck = True
    bench.send(b"first")
    bench.send(b"second")
    bench.hub.link.is_stuck = False
    bench.run(100)
    assert ["creation" in arrived.topic for arrived in bench.hub.telemetry] == [False, True]


def test_too_long_a_message_is_refused_and_counted():
    bench = Bench().until("online")
    assert not bench.send(bytes(2000))
    assert bench.log.has("warning", "2000 bytes exceeds packet_bytes")
    assert bench.outbox.accepted == 0


def test_no_dial_before_a_plausible_date_and_one_line_about_it():
    bench = Bench(clock=FakeClock(unix_s=0))
    bench.run(3 * 86_400_000 // 1000)
    for _ in range(7):
        # Days that ticks cannot span: at the end they read as days in the future
        bench.clock.advance(1 << 28)
        bench.run(5000)
    assert bench.dialer.dialed == []
    assert len([r for r in bench.log.records if "date" in r[1]]) == 1
    bench.clock.set_unix_time(1795239300)
    bench.until("online", 2000)
    assert bench.dialer.dialed == [(HOST, 8883)]


def test_a_gateway_is_dialed():
    bench = Bench()
    bench.identity.dial_host = "edge.local"
    bench.until("online")
    assert bench.dialer.dialed == [("edge.local", 8883)]
    assert bench.hub.connects[0][0][1].startswith(HOST)


def test_refusals_have_their_pace_and_their_words():
    for code, word, least_ms, most_ms in (
        (1, "HostName", 150_000, 300_000),
        (2, "DeviceId", 150_000, 300_000),
        (3, "unavailable", 0, 1000),
        (4, "SharedAccessKey", 150_000, 300_000),
        (5, "SharedAccessKey", 150_000, 300_000),
        (6, "CONNACK 6", 150_000, 300_000),
    ):
        bench = Bench()
        bench.hub.connack = code
        bench.run(140)
        assert bench.session.state == "offline"
        level = "warning" if code == 3 else "error"
        assert bench.log.has(level, word)
        assert bench.log.has(level, "next try in")
        bench.hub.connack = 0
        dials = len(bench.dialer.dialed)
        elapsed = 0
        while len(bench.dialer.dialed) == dials:
            bench.run(1000)
            elapsed += 1000
        assert least_ms <= elapsed <= most_ms + 1000, (code, elapsed)
        bench.until("online", 5000)


def test_a_refused_certificate_is_a_slow_retry_with_its_reason():
    bench = Bench(lambda link: setattr(link, "refuse", "TLS: The certificate has expired"))
    bench.run(140_000)
    assert len(bench.dialer.dialed) == 1
    assert bench.log.has("error", "certificate has expired; next try in")
    bench.run(200_000)
    assert len(bench.dialer.dialed) == 2


def test_an_unreachable_hub_is_tried_for_ever_and_found_again():
    bench = Bench()
    bench.dialer.refuse = "ECONNREFUSED"
    bench.run(3_600_000)
    dials = len(bench.dialer.dialed)
    # The middle of the jitter: 9 growing waits, then one in 150 s
    assert 20 < dials < 45, dials
    bench.dialer.refuse = ""
    bench.until("online", 315_000)


def test_the_range_of_the_wait_doubles_up_to_the_cap_and_begins_anew_once_settled():
    asked = []

    def last(n):
        asked.append(n)
        return n - 1

    bench = Bench(random_below=last)
    bench.dialer.refuse = "down"
    bench.run(10)
    for _ in range(12):
        bench.run(asked[-1])
    assert asked[:4] == [1000, 2000, 4000, 8000]
    assert asked[8:] == [256_000] + [300_000] * (len(asked) - 9)
    assert len(asked) > 11
    bench.dialer.refuse = ""
    bench.until("online").run(29_000)
    bench.hub.link.end()
    bench.run(20)
    assert asked[-1] == 300_000
    bench.until("online").run(31_000)
    bench.hub.link.end()
    bench.run(20)
    assert asked[-1] == 1000


def _short_lived():
    settings = Settings()
    settings.token_life_s = 1000
    return settings


def test_the_token_is_renewed_at_its_share_of_life_and_when_the_clock_is_set_back():
    for epoch in (1970, 2000):
        clock = FakeClock(epoch=epoch, unix_s=1795239300)
        bench = Bench(settings=_short_lived(), clock=clock).until("online")
        made = clock.unix_time()
        assert bench.hub.connects[0][0][2].endswith("&se=%d" % (made + 1000)), epoch
        bench.run(790_000)
        assert len(bench.hub.connects) == 1
        bench.run(20_000)
        assert len(bench.hub.connects) == 2
        clock.jump(-50)
        bench.run(20_000)
        assert len(bench.hub.connects) == 2
        clock.jump(-100)
        bench.run(20_000)
        assert len(bench.hub.connects) == 3
        clock.jump(800)
        bench.run(20_000)
        assert len(bench.hub.connects) == 4
        assert bench.session.failures == 0


def test_with_a_certificate_there_is_no_password_and_nothing_to_renew():
    bench = Bench(settings=_short_lived())
    bench.identity.key = None
    bench.until("online")
    texts, _, flags = bench.hub.connects[0]
    assert texts[0] == DEVICE
    assert texts[1].startswith("%s/%s/?api-version=2021-04-12" % (HOST, DEVICE))
    assert (len(texts), flags) == (2, 0x80)
    bench.run(3_600_000)
    assert len(bench.hub.connects) == 1


def test_no_token_and_no_key_in_any_text():
    bench = Bench()
    for code in (5, 0):
        bench.hub.connack = code
        bench.run(400_000)
    text = bench.log.text() + repr(bench.session.identity)
    for secret in ("sig=", "SharedAccessSignature", "AAECAw"):
        assert secret not in text


def test_messages_before_the_subscription_are_taken():
    bench = Bench()
    bench.hub.on_connack = publish(
        "devices/stove-1/messages/devicebound/a=%2F1", b"while away", 1, 9
    )
    bench.until("online")
    assert bench.handler.messages == [(b"while away", {"a": "/1"})]
    assert bench.hub.acknowledged == [9]
    assert bench.exchange.messages == 1


def test_a_message_that_the_handler_declines_stays_with_the_hub():
    bench = Bench().until("online")
    for i, reason in enumerate((Declined("no"), MemoryError())):
        bench.handler.raising = reason
        bench.hub.message(b"x", packet_id=3)
        bench.run(100)
        assert len([r for r in bench.log.records if "stays with the hub" in r[1]]) == i + 1
    bench.handler.raising = KeyError("a bug")
    bench.hub.message(b"x", packet_id=3)
    with raises(KeyError):
        bench.session.step()
    assert bench.hub.acknowledged == []
    bench.handler.raising = None
    bench.hub.message(b"x", packet_id=3, dup=True)
    bench.run(100)
    assert bench.hub.acknowledged == [3]
    assert bench.session.state == "online"


def test_unknown_topics_are_dropped_and_counted_and_nothing_else():
    bench = Bench().until("online")
    for topic in ("", "x", "$iothub/methods/POST/a/?$rid=%20", "devices/other/messages/events/"):
        bench.hub.say(publish(topic, b"", 1, 5))
    bench.hub.say(b"\x40\2\0\x63")
    bench.run(1000)
    assert bench.exchange.malformed == 5
    assert bench.hub.acknowledged == []
    assert bench.session.state == "online"


def test_a_hub_that_breaks_the_protocol_is_left():
    for raw in (b"\0", b"\x20\2\0\0", b"\x34\5\0\1a\0\1", b"\x30\xff\xff\xff\xff"):
        bench = Bench().until("online")
        bench.hub.say(raw)
        bench.run(20)
        assert bench.session.state == "offline"
        assert bench.dialer.links[0].is_closed
        bench.until("online", 5000)


def test_stop_sends_what_waits_and_parts():
    bench = Bench().until("online")
    bench.hub.mute = ("puback",)
    for i in range(9):
        bench.send(b"%d" % i)
    bench.hub.mute = ()
    bench.session.stop()
    assert bench.session.state == "stopping"
    for arrived in list(bench.hub.telemetry):
        bench.hub.say(bytes([0x40, 2, 0, arrived.packet_id]))
    bench.until("stopped", 5000)
    assert len(bench.hub.bodies()) == 9
    assert bench.hub.parted == 1
    assert bench.dialer.links[0].is_closed
    bench.run(100_000)
    assert len(bench.dialer.dialed) == 1


def test_stop_waits_for_nobody_too_long():
    bench = Bench().until("online")
    bench.hub.mute = ("puback",)
    bench.send(b"x")
    bench.session.stop()
    bench.until("stopped", 6000)
    for phase_ms in (0, 10, 30):
        bench = Bench()
        bench.hub.mute = ("connack",)
        bench.run(phase_ms)
        bench.session.stop()
        assert bench.session.state == "stopped"


def test_the_handler_may_stop_the_session_from_anywhere():
    bench = Bench()
    bench.handler.on_twin = lambda document: bench.session.stop()
    bench.until("stopped", 5000)
    bench = Bench()
    bench.handler.on_message = lambda payload, properties: bench.session.stop()
    bench.hub.on_connack = publish("devices/stove-1/messages/devicebound/", b"", 1, 9)
    bench.until("stopped", 5000)
    bench = Bench().until("online")
    bench.handler.on_command = lambda name, payload: (bench.session.stop(), (200, None))[1]
    bench.hub.call("reboot")
    bench.until("stopped", 6000)
    # The answer still left
    assert bench.hub.answers == [("$iothub/methods/res/200/?$rid=1", b"")]


def test_what_a_handler_raises_passes_through_and_the_session_lives_on():
    bench = Bench().until("online")

    def fail(patch):
        raise KeyError("a bug")

    good, bench.handler.on_desired = bench.handler.on_desired, fail
    bench.hub.change({"a": 1, "$version": 2})
    with raises(KeyError):
        bench.session.step()
    bench.handler.on_desired = good
    bench.hub.change({"a": 1, "$version": 3})
    bench.run(100)
    assert bench.handler.desired == [{"a": 1, "$version": 3}]


def test_a_send_on_a_broken_link_is_kept_and_resent():
    bench = Bench().until("online")
    bench.dialer.links[0].cut_after = 0
    assert bench.send(b"kept")
    assert bench.session.state == "online"
    bench.run(20)
    assert bench.session.state == "offline"
    bench.until("online", 5000).run(100)
    assert bench.hub.bodies() == [b"kept"]
    assert bench.hub.telemetry[0].dup


def test_a_hub_without_pubacks_is_left_in_time():
    bench = Bench().until("online")
    bench.hub.mute = ("puback",)
    bench.send(b"x")
    bench.run(59_000)
    assert bench.session.state == "online"
    bench.until("offline", 3000)
    bench.hub.mute = ()
    bench.until("online", 5000).run(1000)
    assert bench.outbox.telemetry.acked == 1
    assert bench.session.state == "online"


def test_slow_acknowledgements_that_come_are_enough():
    bench = Bench().until("online")
    bench.hub.mute = ("puback",)
    for i in range(5):
        bench.send(b"%d" % i)
        if i:
            bench.hub.say(bytes([0x40, 2, 0, bench.hub.telemetry[i - 1].packet_id]))
        bench.run(40_000)
    assert bench.outbox.telemetry.acked == 4
    assert bench.session.failures == 0


def test_silence_at_each_stage_ends_in_a_new_attempt():
    for mute, limit_ms in (("connack", 20_100), ("suback", 10_100), ("twin", 10_200)):
        bench = Bench()
        bench.hub.mute = (mute,)
        bench.run(limit_ms)
        assert bench.session.failures == 1, mute
        bench.hub.mute = ()
        bench.until("online", 5000)
    bench = Bench(lambda link: setattr(link, "calls_until_ready", 1 << 20))
    bench.run(31_000)
    assert bench.session.failures == 1


def test_to_stop_twice_is_to_stop_once():
    """Somebody who waits for the end may ask again: it is no cut of what still leaves."""
    bench = Bench().until("online")
    bench.hub.mute = ("puback",)
    bench.send(b"x")
    bench.session.stop()
    bench.session.stop()
    assert bench.session.state == "stopping"
    bench.hub.say(bytes([0x40, 2, 0, bench.hub.telemetry[0].packet_id]))
    bench.until("stopped", 1000)
    bench.session.stop()
    bench.run(1000)
    assert (bench.session.state, bench.hub.parted) == ("stopped", 1)


def test_a_link_that_is_lost_while_it_stops_is_not_dialed_again():
    bench = Bench().until("online")
    bench.hub.mute = ("puback",)
    bench.send(b"x")
    bench.session.stop()
    bench.hub.link.end()
    bench.run(600_000)
    assert bench.session.state == "stopped"
    assert bench.dialer.links[0].is_closed
    assert len(bench.dialer.dialed) == 1
    # It was asked for: no failure to tell of, and no "next try"
    assert bench.session.failures == 0
    assert not bench.log.has("warning")


def test_a_handler_that_stops_the_session_just_when_its_token_is_due_has_its_way():
    bench = Bench(settings=_short_lived()).until("online")
    bench.run(790_000)

    def stop():
        bench.session.stop()

    bench.clock.advance(20_000)
    bench.handler.next_report = stop
    bench.until("stopped", 6000)
    bench.run(20_000)
    assert len(bench.hub.connects) == 1


def test_a_message_goes_without_its_time_where_the_heap_has_no_room_for_it():
    bench = Bench()

    def fail():
        raise MemoryError

    bench.clock.utc_text = fail
    assert bench.send(b"early")
    bench.until("online").run(100)
    assert bench.hub.bodies() == [b"early"]
    assert "creation" not in bench.hub.telemetry[0].topic


def test_a_heap_too_full_even_for_telling_costs_the_link_and_nothing_else():
    bench = Bench().until("online")

    def fail(*values):
        raise MemoryError

    bench.handler.on_desired = bench.log.warning = fail
    bench.hub.change({"a": 1, "$version": 2})
    bench.run(100)
    assert bench.session.failures == 1
    assert bench.dialer.links[0].is_closed
    bench.until("online", 5000)


def test_a_heap_too_full_for_tls_and_for_telling_costs_the_link_and_nothing_else():
    class Scarce:
        def __radd__(self, text):
            raise MemoryError

    def fail():
        raise MemoryError

    def prepare(link):
        if len(bench.dialer.links) == 1:
            link.ready = fail

    bench = Bench(prepare)
    bench.identity.dial_host = Scarce()
    bench.until("online", 5000)
    assert bench.session.failures == 1
    assert bench.dialer.links[0].is_closed


def test_a_heap_too_full_for_the_last_line_does_not_wake_what_is_stopped():
    bench = Bench().until("online")

    def fail(*values):
        raise MemoryError

    bench.log.info = fail
    bench.session.stop()
    bench.run(600_000)
    assert bench.session.state == "stopped"
    assert len(bench.dialer.dialed) == 1
