"""What device and hub say to each other: commands, twin, messages; late, wrong or not at all."""

from doubles.clock import FakeClock
from doubles.hub_script import Bench, publish
from doubles.settings import Settings


def test_a_call_gets_the_handlers_answer():
    bench = Bench().until("online")
    bench.handler.answer = (200, {"max": 21.5})
    bench.hub.call("thermostat1*getMaxMinReport", "2f-A", b'"2026-11-21T05:35:00Z"')
    bench.run(100)
    assert bench.handler.commands == [("thermostat1*getMaxMinReport", "2026-11-21T05:35:00Z")]
    topic, body = bench.hub.answers[0]
    assert topic == "$iothub/methods/res/200/?$rid=2f-A"
    assert body in (b'{"max": 21.5}', b'{"max":21.5}')
    assert bench.outbox.answers.acked == 1
    assert bench.outbox.telemetry.acked == 0


def test_payloads_of_any_json_type_and_none():
    bench = Bench().until("online")
    for i, (body, value) in enumerate(
        ((b"", None), (b"null", None), (b"5", 5), (b"[1]", [1]), (b'"s"', "s"), (b"true", True))
    ):
        bench.hub.call("x", "a%d" % i, body)
        bench.run(100)
        assert bench.handler.commands[-1] == ("x", value)
    assert bench.hub.answers[-1] == ("$iothub/methods/res/200/?$rid=a5", b"")


def test_a_payload_that_is_no_json_is_answered_400():
    bench = Bench().until("online")
    bench.hub.call("x", "7", b"{")
    bench.run(100)
    assert bench.handler.commands == []
    assert bench.hub.answers == [("$iothub/methods/res/400/?$rid=7", b"")]


def test_a_payload_too_long_is_answered_413():
    settings = Settings()
    settings.receive_bytes = 256
    bench = Bench(settings=settings).until("online")
    bench.hub.call("x", "7", b"[%s1]" % (b"1," * 300))
    bench.run(100)
    assert bench.handler.commands == []
    assert bench.hub.answers == [("$iothub/methods/res/413/?$rid=7", b"")]


def test_a_handler_out_of_memory_is_answered_500():
    bench = Bench().until("online")

    def fail(name, payload):
        raise MemoryError

    bench.handler.on_command = fail
    bench.hub.call("x", "7")
    bench.run(100)
    assert bench.hub.answers == [("$iothub/methods/res/500/?$rid=7", b"")]
    assert bench.session.state == "online"


def test_an_answer_too_long_becomes_a_failure():
    bench = Bench().until("online")
    bench.handler.answer = (200, "x" * 2000)
    bench.hub.call("x", "7")
    bench.run(100)
    assert bench.hub.answers == [("$iothub/methods/res/500/?$rid=7", b"")]


def test_the_last_16_calls_have_no_second_effect():
    bench = Bench().until("online")
    for i in range(16):
        bench.handler.answer = (200, i)
        bench.hub.call("x", "id%d" % i, b"%d" % i)
        bench.run(50)
    for i in range(16):
        bench.hub.call("x", "id%d" % i, b"%d" % i)
        bench.run(50)
    assert len(bench.handler.commands) == 16
    assert [body for _, body in bench.hub.answers] == [b"%d" % i for i in range(16)] * 2
    bench.hub.call("x", "id16")
    bench.run(50)
    bench.hub.call("x", "id0", b"0")
    bench.run(50)
    assert len(bench.handler.commands) == 18


def test_10000_duplicates_have_one_effect_each():
    bench = Bench().lasting().until("online")
    answers = 0
    for i in range(1000):
        for _ in range(11):
            bench.hub.call("x", "n%d" % i, b"%d" % i)
        bench.run(60)
        answers += len(bench.hub.answers)
        bench.hub.forget()
        assert bench.handler.commands.pop() == ("x", i)
        assert not bench.handler.commands
    assert bench.exchange.unanswered == 0
    assert answers == 11_000


def test_a_new_link_may_count_its_ids_anew():
    bench = Bench().until("online")
    bench.hub.call("reboot", "1")
    bench.run(100)
    bench.hub.link.end()
    bench.run(20)
    bench.until("online")
    bench.hub.call("reboot", "1")
    bench.run(100)
    assert len(bench.handler.commands) == 2


def test_an_answer_survives_the_cut_of_its_link():
    bench = Bench().until("online")
    bench.hub.mute = ("puback",)
    bench.hub.call("x", "7")
    bench.run(100)
    bench.hub.link.end()
    bench.hub.mute = ()
    bench.run(20)
    bench.until("online").run(100)
    assert len(bench.hub.answers) == 2
    assert bench.outbox.answers.acked == 1
    assert bench.outbox.telemetry.end == bench.outbox.answers.end == 0


def test_a_call_is_answered_while_the_twin_cannot_be_read():
    bench = Bench()
    bench.hub.twin_status = 429
    bench.send(b"waits")
    bench.until("reconciling").run(5000)
    bench.hub.call("x", "7")
    bench.run(1000)
    assert bench.session.state == "reconciling"
    assert bench.hub.answers == [("$iothub/methods/res/200/?$rid=7", b"")]
    assert bench.outbox.answers.acked == 1
    # Telemetry waits for the twin
    assert bench.hub.bodies() == []
    bench.hub.twin_status = 200
    bench.until("online", 70_000).run(100)
    assert bench.hub.bodies() == [b"waits"]
    assert len(bench.hub.answers) == 1


def test_an_answer_in_reconciling_that_is_not_acknowledged_is_missed_in_time():
    bench = Bench()
    bench.hub.twin_status = 429
    bench.hub.mute = ("puback",)
    bench.until("reconciling")
    bench.hub.call("x", "7")
    bench.run(62_000)
    assert bench.session.failures == 1
    assert bench.log.has("warning", "no acknowledgement in time")


def test_a_call_during_a_renewal_is_answered_before_the_link_is_left():
    settings = Settings()
    settings.token_life_s = 700
    bench = Bench(settings=settings).until("online")
    bench.hub.mute = ("puback",)
    bench.send(b"out")
    bench.clock.jump(600)
    bench.until("renewing", 12_000)
    bench.send(b"next")
    bench.hub.mute = ()
    # Both at once: with the acknowledgement nothing else would be out
    bench.hub.say(bytes([0x40, 2, 0, bench.hub.telemetry[0].packet_id]))
    bench.hub.call("x", "7")
    bench.until("offline", 1000)
    assert len(bench.dialer.links) == 1
    assert bench.hub.answers == [("$iothub/methods/res/200/?$rid=7", b"")]
    assert bench.outbox.answers.acked == 1
    assert bench.hub.bodies() == [b"out"]
    bench.until("online").run(100)
    assert len(bench.hub.answers) == 1
    assert bench.hub.bodies() == [b"out", b"next"]


def test_a_flood_of_calls_is_bounded_and_counted():
    bench = Bench().until("online")
    bench.hub.mute = ("puback",)
    for i in range(500):
        bench.hub.call("x", "f%d" % i)
    bench.run(2000)
    assert bench.exchange.commands == 500
    assert bench.exchange.unanswered > 0
    bench.hub.mute = ()
    bench.hub.link.end()
    bench.run(20)
    bench.until("online").run(2000)
    assert bench.outbox.answers.acked + bench.exchange.unanswered == 500


def test_the_twin_is_read_again_after_each_reconnect():
    bench = Bench().until("online")
    bench.hub.desired = {"a": 2, "$version": 2}
    bench.hub.link.end()
    bench.run(20)
    bench.until("online")
    assert [twin["desired"]["$version"] for twin in bench.handler.twins] == [1, 2]
    assert bench.handler.online == 2


def test_a_throttled_read_is_repeated_on_the_same_link():
    for status in (429, 500, 503):
        bench = Bench()
        bench.hub.twin_status = status
        bench.run(20_000)
        assert bench.session.state == "reconciling"
        assert 3 <= bench.hub.reads <= 10
        assert bench.log.has("warning", "%d" % status)
        bench.hub.twin_status = 200
        bench.until("online", 70_000)
        assert len(bench.dialer.links) == 1


def test_an_unusable_twin_is_asked_again():
    for body in (
        b"",
        b"[]",
        b"{",
        b"null",
        b'{"desired":{}}',
        b'{"desired":{"$version":1}}',
        b'{"desired":{"$version":"1"},"reported":{}}',
        b'{"desired":{"$version":true},"reported":{}}',
        b'{"desired":[],"reported":{}}',
        b"\xff\xfe",
    ):
        bench = Bench()
        bench.hub.mute = ("twin",)
        bench.run(50)
        bench.hub.mute = ()
        bench.hub.answer_read("1", 200, body)
        bench.run(50)
        assert bench.session.state == "reconciling", body
        assert bench.exchange.malformed == 1
        bench.until("online", 5000)
        assert len(bench.handler.twins) == 1


def test_an_answer_to_another_request_is_not_taken():
    bench = Bench()
    bench.hub.mute = ("twin",)
    bench.run(50)
    bench.hub.mute = ()
    bench.hub.answer_read("99", 200, b'{"desired":{"$version":1},"reported":{}}')
    bench.run(1000)
    assert bench.session.state == "reconciling"
    assert bench.handler.twins == []


def test_a_twin_too_large_leaves_the_rest_alive():
    settings = Settings()
    settings.receive_bytes = 256
    bench = Bench(settings=settings)
    bench.hub.desired = {"text": "x" * 500, "$version": 1}
    bench.until("online")
    assert bench.handler.twins == []
    assert bench.log.has("error", "receive_bytes")
    assert bench.exchange.malformed == 1
    bench.send(b"telemetry")
    bench.run(100)
    assert bench.outbox.telemetry.acked == 1


def test_desired_patches_go_to_the_handler():
    bench = Bench().until("online")
    bench.hub.change({"target": 21, "$version": 2})
    bench.hub.change({"b": None, "$version": 3})
    bench.run(100)
    assert bench.handler.desired == [{"target": 21, "$version": 2}, {"b": None, "$version": 3}]


def test_patches_that_are_none_are_dropped():
    bench = Bench().until("online")
    for body in (b"", b"1", b"[]", b"{", b'{"$version":null}', b"[" * 3000):
        bench.hub.say(publish("$iothub/twin/PATCH/properties/desired/?$version=3", body))
    bench.run(100)
    assert bench.handler.desired == []
    assert bench.exchange.malformed == 6
    assert bench.session.state == "online"


def test_a_patch_that_overtakes_the_twin_makes_it_be_read_anew():
    bench = Bench()
    bench.hub.mute = ("twin",)
    bench.run(50)
    bench.hub.mute = ()
    bench.hub.change({"a": 5, "$version": 5})
    bench.hub.answer_read("1", 200, b'{"desired":{"a":4,"$version":4},"reported":{"$version":1}}')
    bench.hub.desired = {"a": 5, "$version": 5}
    bench.until("online", 2000)
    assert bench.handler.desired == []
    assert [twin["desired"]["a"] for twin in bench.handler.twins] == [5]
    assert bench.hub.reads == 2


def test_reports_go_one_at_a_time():
    bench = Bench().until("online")
    bench.hub.mute = ("patch",)
    bench.handler.reports = [{"a": 1}, {"b": 2}]
    bench.run(3000)
    assert bench.hub.patches == [{"a": 1}]
    bench.hub.mute = ()
    bench.hub.say(publish("$iothub/twin/res/204/?$rid=2&$version=3"))
    bench.run(3000)
    assert bench.hub.patches == [{"a": 1}, {"b": 2}]
    assert bench.handler.statuses == [204, 204]


def test_a_report_without_an_answer_is_told_lost_and_asked_again():
    bench = Bench().until("online")
    bench.hub.mute = ("patch",)
    bench.handler.reports = [{"a": 1}]
    bench.run(11_500)
    assert bench.handler.lost == 1
    bench.hub.mute = ()
    # The late answer is nobody's
    bench.hub.say(publish("$iothub/twin/res/204/?$rid=2&$version=3"))
    bench.run(3000)
    assert bench.hub.patches == [{"a": 1}, {"a": 1}]
    assert bench.handler.statuses == [204]
    assert bench.session.state == "online"


def test_a_report_cut_off_is_told_lost():
    bench = Bench().until("online")
    bench.hub.mute = ("patch",)
    bench.handler.reports = [{"a": 1}]
    bench.run(1500)
    bench.hub.link.end()
    bench.hub.mute = ()
    bench.run(20)
    assert bench.handler.lost == 1
    bench.until("online").run(2000)
    assert bench.handler.statuses == [204]


def test_a_throttled_report_is_not_hammered():
    bench = Bench().until("online")
    bench.hub.patch_status = 429
    take = bench.handler.on_reported
    bench.handler.on_reported = lambda status: bench.handler.statuses.append(status)
    bench.handler.reports = [{"a": 1}]
    bench.run(60_000)
    assert 4 <= len(bench.hub.patches) <= 10
    assert set(bench.handler.statuses) == {429}
    bench.hub.patch_status = 204
    bench.handler.on_reported = take
    bench.run(300_000)
    assert bench.handler.statuses[-1] == 204
    assert bench.handler.reports == []


def test_a_report_too_large_is_told_at_once():
    bench = Bench().until("online")
    bench.handler.reports = [{"a": "x" * 3000}, {"b": 1}]
    bench.run(3000)
    assert bench.handler.statuses == [413, 204]
    assert bench.hub.patches == [{"b": 1}]


def test_reports_leave_after_a_time_that_ticks_cannot_span():
    """On a board that is half of 2**30 ms: a quiet week."""
    bench = Bench(clock=FakeClock(period=1 << 22)).until("online")
    bench.handler.reports = [{"a": 1}]
    bench.run(2000)
    bench.run((1 << 21) + 600_000)
    bench.handler.reports = [{"b": 1}]
    bench.run(15_000)
    assert bench.hub.patches[-1] == {"b": 1}


def test_a_topic_of_any_letters_that_is_too_long_is_told_in_one_line():
    settings = Settings()
    settings.receive_bytes = 256
    bench = Bench(settings=settings).until("online")
    for shift in range(3):
        bag = "n" * (22 + shift) + "\u20ac" * 20
        topic = "devices/stove-1/messages/devicebound/" + bag
        bench.hub.say(publish(topic, b"x" * 500, 1, 5))
        bench.run(100)
    assert bench.session.state == "online"
    assert bench.exchange.malformed == 3
    assert bench.hub.acknowledged == []


def test_what_a_handler_lacks_memory_for_costs_the_link_and_nothing_else():
    bench = Bench().until("online")

    def fail(patch):
        raise MemoryError

    bench.handler.on_desired = fail
    bench.hub.change({"a": 1, "$version": 2})
    bench.run(100)
    assert bench.session.failures == 1
    bench.until("online")
    assert len(bench.handler.twins) == 2


def test_the_model_is_announced_with_the_connection():
    """Source: IoT Plug and Play conventions, "Identify a device"."""
    settings = Settings()
    settings.model_id = "dtmi:com:example:Thermostat;1"
    bench = Bench(settings=settings).until("online")
    user = bench.hub.connects[0][0][1]
    assert user.endswith("&model-id=dtmi%3Acom%3Aexample%3AThermostat%3B1")
    bench = Bench().until("online")
    assert "model-id" not in bench.hub.connects[0][0][1]


def test_a_link_that_takes_nothing_is_tried_again_at_once_and_not_a_second_later():
    bench = Bench().until("online").run(3000)
    link = bench.hub.link
    link.is_stuck = True
    bench.send(b"waits")
    for _ in range(50):
        assert bench.session.step() <= 20
        bench.clock.advance(20)
    assert bench.hub.bodies() == []
    link.is_stuck = False
    bench.run(20)
    assert bench.hub.bodies() == [b"waits"]
    assert bench.session.failures == 0
