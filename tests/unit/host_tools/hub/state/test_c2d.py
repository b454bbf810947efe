from doubles.hub_connection import FakeConnection
from doubles.hub_in_memory import make_hub
from expect import raises

from host_tools.hub.state.c2d import Message
from host_tools.hub.state.documents import iso_time
from host_tools.hub.state.errors import HubError


def _refusal(call, *arguments):
    with raises(HubError) as refused:
        call(*arguments)
    return refused.error.code


def test_messages_come_in_order_and_end_by_completion():
    hub = make_hub("d1")
    connection = FakeConnection()
    hub.connections.attach("d1", connection)
    sent = [hub.c2d.send("d1", Message(b"%d" % number)) for number in range(3)]
    assert connection.wakes == 3
    assert sent[0].to == "/devices/d1/messages/devicebound"
    assert len({message.message_id for message in sent}) == 3
    taken = [hub.c2d.next("d1") for _ in range(3)]
    assert [message.body for message in taken] == [b"0", b"1", b"2"]
    assert hub.c2d.next("d1") is None
    for message in taken:
        hub.c2d.complete("d1", message.lock)
    assert hub.c2d.count("d1") == 0
    assert _refusal(hub.c2d.complete, "d1", taken[0].lock) == 412002
    assert _refusal(hub.c2d.complete, "d1", "") == 412002


def test_the_queue_takes_fifty():
    hub = make_hub("d1", "d2")
    for _ in range(50):
        hub.c2d.send("d1", Message(b""))
    assert _refusal(hub.c2d.send, "d1", Message(b"")) == 403004
    hub.c2d.send("d2", Message(b""))
    hub.clock.now_s += 3601
    hub.c2d.send("d1", Message(b"after the others expired"))
    assert hub.c2d.count("d1") == 1


def test_locks_run_out_after_a_minute():
    hub = make_hub("d1")
    hub.c2d.send("d1", Message(b"x"))
    first = hub.c2d.next("d1").lock
    connection = FakeConnection()
    hub.connections.attach("d1", connection)
    hub.clock.now_s += 59
    hub.sweep()
    assert hub.c2d.next("d1") is None
    assert connection.wakes == 0
    hub.clock.now_s += 1
    hub.sweep()
    assert connection.wakes == 1
    assert _refusal(hub.c2d.complete, "d1", first) == 412002
    assert hub.c2d.next("d1").lock != first


def test_a_lost_connection_gives_back_uncounted():
    hub = make_hub("d1")
    hub.c2d.send("d1", Message(b"x"))
    for _ in range(20):
        assert hub.c2d.next("d1").delivery_count == 0
        hub.c2d.abandon_all("d1")
    assert hub.c2d.count("d1") == 1


def test_the_tenth_abandon_is_the_last():
    hub = make_hub("d1")
    hub.c2d.send("d1", Message(b"x"))
    for _ in range(10):
        assert hub.c2d.count("d1") == 1
        hub.c2d.abandon("d1", hub.c2d.next("d1").lock)
    assert hub.c2d.count("d1") == 0


def test_messages_expire_by_default_or_as_they_say():
    hub = make_hub("d1")
    hub.c2d.send("d1", Message(b"default"))
    hub.c2d.send("d1", Message(b"short", expires_s=hub.clock() + 10))
    hub.c2d.send("d1", Message(b"long", expires_s=hub.clock() + 7200))
    hub.clock.now_s += 11
    hub.sweep()
    assert hub.c2d.count("d1") == 2
    hub.clock.now_s += 3600
    assert hub.c2d.next("d1").body == b"long"


def test_an_expiry_that_cannot_be_printed_is_the_last_that_can(tmp_path):
    hub = make_hub("d1", path=tmp_path / "state")
    for expires_s in (253_402_300_800, 1e15):
        message = hub.c2d.send("d1", Message(b"x", expires_s=expires_s))
        assert iso_time(message.expires_s) == "9999-12-31T23:59:59.000000Z"
    # As earlier versions have stored it
    message = hub.c2d.next("d1")
    message.expires_s = 1e15
    hub.c2d.abandon("d1", message.lock)
    hub.storage.close()
    hub = make_hub(path=tmp_path / "state")
    assert iso_time(hub.c2d.next("d1").expires_s) == "9999-12-31T23:59:59.000000Z"


def test_sizes_and_acknowledgements_are_checked():
    hub = make_hub("d1")
    hub.c2d.send("d1", Message(b"x" * 65536))
    assert _refusal(hub.c2d.send, "d1", Message(b"x" * 65536, message_id="m")) == 413001
    assert _refusal(hub.c2d.send, "d1", Message(b"", properties={"p": "x" * 65536})) == 413001
    assert _refusal(hub.c2d.send, "d1", Message(b"", ack="always")) == 400004


def test_purge_drops_all_locked_or_not():
    hub = make_hub("d1")
    for _ in range(3):
        hub.c2d.send("d1", Message(b""))
    hub.c2d.next("d1")
    assert hub.c2d.purge("d1") == 3
    assert hub.c2d.purge("d1") == 0


def test_queued_messages_outlive_the_process(tmp_path):
    hub = make_hub("d1", path=tmp_path / "state")
    message = Message(
        bytes(range(256)),
        message_id="m",
        correlation_id="c",
        content_type="text/plain",
        content_encoding="utf-8",
        ack="full",
        properties={"a": "1", "none": None, "empty": ""},
    )
    hub.c2d.send("d1", message)
    hub.c2d.send("d1", Message(b"abandoned"))
    hub.c2d.next("d1")
    hub.c2d.abandon("d1", hub.c2d.next("d1").lock)
    hub.storage.close()
    hub = make_hub(path=tmp_path / "state")
    again = hub.c2d.next("d1")
    assert (again.body, again.properties, again.ack) == (
        message.body,
        message.properties,
        "full",
    )
    assert (again.message_id, again.correlation_id) == ("m", "c")
    assert again.expires_s == message.expires_s
    assert hub.c2d.next("d1").delivery_count == 1
    assert hub.c2d.send("d1", Message(b"")).sequence_number > again.sequence_number + 1
