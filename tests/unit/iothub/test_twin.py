"""The twin's exchange: read, desired, reported; each answered late, wrongly or not at all."""

from doubles.hub_script import Bench, publish
from doubles.settings import Settings
from iothub.session import ONLINE, RECONCILING


def test_the_twin_is_read_again_after_each_reconnect():
    bench = Bench().until(ONLINE)
    bench.hub.desired = {"a": 2, "$version": 2}
    bench.hub.link.end()
    bench.run(20)
    bench.until(ONLINE)
    assert [twin["desired"]["$version"] for twin in bench.handler.twins] == [1, 2]
    assert bench.handler.online == 2


def test_a_throttled_read_is_repeated_on_the_same_link():
    for status in (429, 500, 503):
        bench = Bench()
        bench.hub.twin_status = status
        bench.run(20_000)
        assert bench.session.state == RECONCILING
        assert 3 <= bench.hub.reads <= 10
        assert bench.log.has("warning", "%d" % status)
        bench.hub.twin_status = 200
        bench.until(ONLINE, 70_000)
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
        assert bench.session.state == RECONCILING, body
        assert bench.session.counters.malformed == 1
        bench.until(ONLINE, 5000)
        assert len(bench.handler.twins) == 1


def test_an_answer_to_another_request_is_not_taken():
    bench = Bench()
    bench.hub.mute = ("twin",)
    bench.run(50)
    bench.hub.mute = ()
    bench.hub.answer_read("99", 200, b'{"desired":{"$version":1},"reported":{}}')
    bench.run(1000)
    assert bench.session.state == RECONCILING
    assert bench.handler.twins == []


def test_a_twin_too_large_leaves_the_rest_alive():
    settings = Settings()
    settings.receive_bytes = 256
    bench = Bench(settings=settings)
    bench.hub.desired = {"text": "x" * 500, "$version": 1}
    bench.until(ONLINE)
    assert bench.handler.twins == []
    assert bench.log.has("error", "receive buffer")
    assert bench.session.counters.oversize == 1
    bench.send(b"telemetry")
    bench.run(100)
    assert bench.session.counters.acked == 1


def test_desired_patches_go_to_the_handler():
    bench = Bench().until(ONLINE)
    bench.hub.change({"target": 21, "$version": 2})
    bench.hub.say(publish("$iothub/twin/PATCH/properties/desired/?$version=3", b'{"b":null}'))
    bench.run(100)
    assert bench.handler.desired == [{"target": 21, "$version": 2}, {"b": None, "$version": 3}]
    assert bench.session.counters.patches == 2


def test_patches_that_are_none_are_dropped():
    bench = Bench().until(ONLINE)
    for body in (b"", b"1", b"[]", b"{", b'{"$version":null}', b"[" * 3000):
        bench.hub.say(publish("$iothub/twin/PATCH/properties/desired/?$version=3", body))
    bench.run(100)
    assert bench.handler.desired == []
    assert bench.session.counters.malformed == 6
    assert bench.session.state == ONLINE


def test_a_patch_that_overtakes_the_twin_makes_it_be_read_anew():
    bench = Bench()
    bench.hub.mute = ("twin",)
    bench.run(50)
    bench.hub.mute = ()
    bench.hub.change({"a": 5, "$version": 5})
    bench.hub.answer_read("1", 200, b'{"desired":{"a":4,"$version":4},"reported":{"$version":1}}')
    bench.hub.desired = {"a": 5, "$version": 5}
    bench.until(ONLINE, 2000)
    assert bench.handler.desired == []
    assert [twin["desired"]["a"] for twin in bench.handler.twins] == [5]
    assert bench.hub.reads == 2


def test_reports_go_one_at_a_time():
    bench = Bench().until(ONLINE)
    bench.hub.mute = ("patch",)
    bench.handler.reports = [{"a": 1}, {"b": 2}]
    bench.run(3000)
    assert bench.hub.patches == [{"a": 1}]
    bench.hub.mute = ()
    bench.hub.say(publish("$iothub/twin/res/204/?$rid=2&$version=3"))
    bench.run(3000)
    assert bench.hub.patches == [{"a": 1}, {"b": 2}]
    assert bench.handler.statuses == [204, 204]
    assert bench.session.counters.reports == 2


def test_a_report_without_an_answer_is_told_lost_and_asked_again():
    bench = Bench().until(ONLINE)
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
    assert bench.session.state == ONLINE


def test_a_report_cut_off_is_told_lost():
    bench = Bench().until(ONLINE)
    bench.hub.mute = ("patch",)
    bench.handler.reports = [{"a": 1}]
    bench.run(1500)
    bench.hub.link.end()
    bench.hub.mute = ()
    bench.run(20)
    assert bench.handler.lost == 1
    bench.until(ONLINE).run(2000)
    assert bench.handler.statuses == [204]


def test_a_throttled_report_is_not_hammered():
    bench = Bench().until(ONLINE)
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
    bench = Bench().until(ONLINE)
    bench.handler.reports = [{"a": "x" * 3000}, {"b": 1}]
    bench.run(3000)
    assert bench.handler.statuses == [413, 204]
    assert bench.hub.patches == [{"b": 1}]


def test_reports_leave_after_a_quiet_week():
    """Ticks tell spans of 6.2 days apart, and no longer ones."""
    bench = Bench().until(ONLINE)
    bench.handler.reports = [{"a": 1}]
    bench.run(2000)
    for _ in range(7 * 24):
        bench.run(3_600_000)
    bench.handler.reports = [{"b": 1}]
    bench.run(15_000)
    assert bench.hub.patches[-1] == {"b": 1}
