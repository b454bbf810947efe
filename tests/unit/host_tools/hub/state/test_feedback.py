"""What the service is told about its messages to devices, when, and how often."""

import pytest
from doubles.hub_in_memory import make_hub

from host_tools.hub.state.c2d import MAX_DELIVERIES, Message
from host_tools.hub.state.errors import HubError


def send(hub, ack="full", message_id="m1"):
    return hub.c2d.send("d1", Message(b"x", message_id=message_id, ack=ack))


def complete(hub):
    hub.c2d.complete("d1", hub.c2d.next("d1").lock)


def give_up(hub):
    for _ in range(MAX_DELIVERIES):
        hub.c2d.abandon("d1", hub.c2d.next("d1").lock)


def expire(hub):
    hub.clock.now_s += 3601
    hub.sweep()
    # Feedback has the same time to live as messages: only what came now is left


def purge(hub):
    hub.c2d.purge("d1")


def told(hub):
    """The outcomes of the batch that is due in 15 seconds, which is completed."""
    hub.clock.now_s += 15
    batch = hub.feedback.next()
    if batch is None:
        return []
    hub.feedback.complete(batch.lock)
    return [record["statusCode"] for record in batch.records]


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (complete, "Success"),
        (give_up, "DeliveryCountExceeded"),
        (expire, "Expired"),
        (purge, "Purged"),
    ],
)
def test_each_outcome_is_told_to_those_who_asked(end, outcome):
    for ack, is_told in (
        ("none", False),
        ("full", True),
        ("positive", outcome == "Success"),
        ("negative", outcome != "Success"),
    ):
        hub = make_hub("d1")
        send(hub, ack)
        end(hub)
        assert told(hub) == ([outcome] if is_told else [])


def test_a_record_as_the_service_prints_it():
    hub = make_hub("d1")
    hub.clock.now_s = 1795000000
    send(hub, message_id="mine")
    complete(hub)
    hub.clock.now_s += 15
    assert hub.feedback.next().records == [
        {
            "originalMessageId": "mine",
            "description": "Success",
            "deviceGenerationId": hub.registry.generation_id("d1"),
            "deviceId": "d1",
            "enqueuedTimeUtc": "2026-11-18T11:06:40.000000Z",
            "statusCode": "Success",
        }
    ]


def test_a_batch_is_due_after_15_seconds_or_with_64_records():
    hub = make_hub("d1")
    calls = []
    stop = hub.feedback.subscribe(lambda: calls.append(hub.clock.now_s))
    send(hub)
    complete(hub)
    hub.clock.now_s += 14.9
    hub.sweep()
    assert (hub.feedback.next(), calls) == (None, [])
    hub.clock.now_s += 0.1
    hub.sweep()
    assert len(calls) == 1
    hub.feedback.complete(hub.feedback.next().lock)
    for _ in range(63):
        send(hub)
        complete(hub)
    assert (hub.feedback.next(), len(calls)) == (None, 1)
    for _ in range(2):
        send(hub)
        complete(hub)
    assert len(calls) > 1
    stop()
    batch = hub.feedback.next()
    assert len(batch.records) == 64
    assert hub.feedback.next() is None


def test_a_locked_batch_is_nobody_elses_until_its_minute_is_over():
    hub = make_hub("d1")
    send(hub)
    complete(hub)
    hub.clock.now_s += 15
    first = hub.feedback.next()
    hub.clock.now_s += 59
    assert hub.feedback.next() is None
    hub.clock.now_s += 1
    second = hub.feedback.next()
    assert second.records == first.records
    with pytest.raises(HubError) as lost:
        hub.feedback.complete(first.lock)
    assert lost.value.code == 412002
    hub.feedback.complete(second.lock)
    assert told(hub) == []


def test_batches_whose_minutes_end_at_once_come_back_together():
    hub = make_hub("d1", "d2", "d3")
    taken = []

    def take():
        while (batch := hub.feedback.next()) is not None:
            taken.append(batch)

    hub.feedback.subscribe(take)
    for device_id in ("d1", "d2", "d3"):
        for _ in range(50):
            hub.c2d.send(device_id, Message(b"x", ack="full"))
        hub.c2d.purge(device_id)
    assert [len(batch.records) for batch in taken] == [64, 64]
    first = [each.records for each in taken]
    taken.clear()
    hub.clock.now_s += 61
    hub.sweep()
    # The last one holds what had not filled a batch before
    assert [each.records for each in taken[:2]] == first
    assert [len(batch.records) for batch in taken] == [64, 64, 22]


def test_the_tenth_time_it_is_let_go_a_record_is_given_up():
    hub = make_hub("d1")
    send(hub)
    complete(hub)
    hub.clock.now_s += 15
    for _ in range(10):
        hub.feedback.abandon(hub.feedback.next().lock)
    assert told(hub) == []


def test_records_go_with_their_time_to_live():
    hub = make_hub("d1")
    send(hub)
    complete(hub)
    hub.clock.now_s += 3600
    assert told(hub) == []


def test_order_is_kept_when_a_batch_comes_back():
    hub = make_hub("d1")
    for number in range(3):
        send(hub, message_id=f"m{number}")
    complete(hub)
    hub.clock.now_s += 15
    batch = hub.feedback.next()
    complete(hub)
    complete(hub)
    hub.feedback.abandon(batch.lock)
    hub.clock.now_s += 15
    names = [record["originalMessageId"] for record in hub.feedback.next().records]
    assert names == ["m0", "m1", "m2"]


def test_feedback_survives_the_process(tmp_path):
    path = tmp_path / "state.sqlite3"
    hub = make_hub("d1", path=path)
    send(hub)
    complete(hub)
    now_s = hub.clock.now_s
    hub.storage.close()
    again = make_hub(path=path)
    again.clock.now_s = now_s
    assert told(again) == ["Success"]
    again.storage.close()
    third = make_hub(path=path)
    third.clock.now_s = now_s
    assert told(third) == []
    third.storage.close()


def test_a_message_and_its_feedback_are_one_write():
    hub = make_hub("d1")
    send(hub)
    written = []
    write = hub.storage.write
    hub.storage.write = lambda changes: (written.append([c.kind for c in changes]), write(changes))
    complete(hub)
    assert ["c2d", "feedback"] in written
