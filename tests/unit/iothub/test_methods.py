"""Direct methods: always an answer, never a second effect."""

from doubles.hub_script import Bench
from doubles.settings import Settings
from iothub.session import ONLINE


def test_a_call_gets_the_handlers_answer():
    bench = Bench().until(ONLINE)
    bench.handler.answer = (200, {"max": 21.5})
    bench.hub.call("thermostat1*getMaxMinReport", "2f-A", b'"2026-11-21T05:35:00Z"')
    bench.run(100)
    assert bench.handler.commands == [("thermostat1*getMaxMinReport", "2026-11-21T05:35:00Z")]
    topic, body = bench.hub.answers[0]
    assert topic == "$iothub/methods/res/200/?$rid=2f-A"
    assert body in (b'{"max": 21.5}', b'{"max":21.5}')
    assert bench.outbox.answers_acked == 1
    assert bench.session.counters.acked == 0


def test_payloads_of_any_json_type_and_none():
    bench = Bench().until(ONLINE)
    for i, (body, value) in enumerate(
        ((b"", None), (b"null", None), (b"5", 5), (b"[1]", [1]), (b'"s"', "s"), (b"true", True))
    ):
        bench.hub.call("x", "a%d" % i, body)
        bench.run(100)
        assert bench.handler.commands[-1] == ("x", value)
    assert bench.hub.answers[-1] == ("$iothub/methods/res/200/?$rid=a5", b"")


def test_a_payload_that_is_no_json_is_answered_400():
    bench = Bench().until(ONLINE)
    bench.hub.call("x", "7", b"{")
    bench.run(100)
    assert bench.handler.commands == []
    assert bench.hub.answers == [("$iothub/methods/res/400/?$rid=7", b"")]


def test_a_payload_too_long_is_answered_413():
    settings = Settings()
    settings.receive_bytes = 256
    bench = Bench(settings=settings).until(ONLINE)
    bench.hub.call("x", "7", b"[%s1]" % (b"1," * 300))
    bench.run(100)
    assert bench.handler.commands == []
    assert bench.hub.answers == [("$iothub/methods/res/413/?$rid=7", b"")]


def test_a_handler_out_of_memory_is_answered_500():
    bench = Bench().until(ONLINE)

    def fail(name, payload):
        raise MemoryError

    bench.handler.on_command = fail
    bench.hub.call("x", "7")
    bench.run(100)
    assert bench.hub.answers == [("$iothub/methods/res/500/?$rid=7", b"")]
    assert bench.session.state == ONLINE


def test_an_answer_too_long_becomes_a_failure():
    bench = Bench().until(ONLINE)
    bench.handler.answer = (200, "x" * 2000)
    bench.hub.call("x", "7")
    bench.run(100)
    assert bench.hub.answers == [("$iothub/methods/res/500/?$rid=7", b"")]


def test_the_last_16_calls_have_no_second_effect():
    bench = Bench().until(ONLINE)
    for i in range(16):
        bench.handler.answer = (200, i)
        bench.hub.call("x", "id%d" % i, b"%d" % i)
        bench.run(50)
    for i in range(16):
        bench.hub.call("x", "id%d" % i, b"%d" % i)
        bench.run(50)
    assert len(bench.handler.commands) == 16
    assert bench.session.counters.repeats == 16
    assert [body for _, body in bench.hub.answers] == [b"%d" % i for i in range(16)] * 2
    bench.hub.call("x", "id16")
    bench.run(50)
    bench.hub.call("x", "id0", b"0")
    bench.run(50)
    assert len(bench.handler.commands) == 18


def test_10000_duplicates_have_one_effect_each():
    bench = Bench().lasting().until(ONLINE)
    answers = 0
    for i in range(1000):
        for _ in range(11):
            bench.hub.call("x", "n%d" % i, b"%d" % i)
        bench.run(60)
        answers += len(bench.hub.answers)
        bench.hub.forget()
        assert bench.handler.commands.pop() == ("x", i)
        assert not bench.handler.commands
    assert bench.session.counters.repeats == 10_000
    assert bench.session.counters.unanswered == 0
    assert answers == 11_000


def test_a_new_link_may_count_its_ids_anew():
    bench = Bench().until(ONLINE)
    bench.hub.call("reboot", "1")
    bench.run(100)
    bench.hub.link.end()
    bench.run(20)
    bench.until(ONLINE)
    bench.hub.call("reboot", "1")
    bench.run(100)
    assert len(bench.handler.commands) == 2


def test_an_answer_survives_the_cut_of_its_link():
    bench = Bench().until(ONLINE)
    bench.hub.mute = ("puback",)
    bench.hub.call("x", "7")
    bench.run(100)
    bench.hub.link.end()
    bench.hub.mute = ()
    bench.run(20)
    bench.until(ONLINE).run(100)
    assert len(bench.hub.answers) == 2
    assert bench.outbox.answers_acked == 1
    assert bench.outbox.is_empty()


def test_a_flood_of_calls_is_bounded_and_counted():
    bench = Bench().until(ONLINE)
    bench.hub.mute = ("puback",)
    for i in range(500):
        bench.hub.call("x", "f%d" % i)
    bench.run(2000)
    counters = bench.session.counters
    assert counters.commands == 500
    assert counters.unanswered > 0
    bench.hub.mute = ()
    bench.hub.link.end()
    bench.run(20)
    bench.until(ONLINE).run(2000)
    assert bench.outbox.answers_acked + counters.unanswered == 500
