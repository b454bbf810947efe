import asyncio

from doubles.hub_in_memory import make_hub
from expect import raises

from host_tools.hub.state import telemetry
from host_tools.hub.state.errors import HubError

MODEL = "dtmi:com:example:TemperatureController;1"


def test_events_carry_the_hubs_stamps():
    hub = make_hub("d1")
    bag = {
        "$.mid": "m1",
        "$.cid": "c1",
        "$.ct": "application/json",
        "$.ce": "utf-8",
        "$.sub": "thermostat1",
        "iothub-creation-time-utc": "2020-01-01T00:00:00Z",
        "flag": None,
    }
    event = hub.telemetry.append("d1", b"{}", bag, MODEL)
    assert event.system == {
        "message-id": "m1",
        "correlation-id": "c1",
        "content-type": "application/json",
        "content-encoding": "utf-8",
    }
    assert event.properties == {
        "iothub-creation-time-utc": "2020-01-01T00:00:00Z",
        "flag": None,
    }
    assert event.annotations == {
        "iothub-connection-device-id": "d1",
        "iothub-connection-auth-method": telemetry.DEVICE_SAS,
        "iothub-connection-auth-generation-id": hub.registry.generation_id("d1"),
        "iothub-enqueuedtime": 1_700_000_000_000,
        "iothub-message-source": "Telemetry",
        "dt-dataschema": MODEL,
        "dt-subject": "thermostat1",
    }
    plain = hub.telemetry.append("d1", b"", {}).annotations
    assert "dt-dataschema" not in plain
    assert "dt-subject" not in plain


def test_a_devices_events_stay_in_one_partition_in_order():
    hub = make_hub("d1")
    events = [hub.telemetry.append("d1", b"%d" % number, {}) for number in range(5)]
    assert [event.sequence_number for event in events] == [0, 1, 2, 3, 4]
    assert len({event.partition for event in events}) == 1
    offsets = [int(event.offset) for event in events]
    assert offsets == sorted(set(offsets))
    assert hub.telemetry.read(events[0].partition, 3) == events[3:]
    used = {hub.telemetry.partition_of("device-%d" % number) for number in range(50)}
    assert used == set(range(hub.telemetry.partitions))


def test_subscribers_see_an_event_once_it_is_committed():
    hub = make_hub("d1")
    seen = []
    stop = hub.telemetry.subscribe(seen.append)

    async def scene():
        first = hub.telemetry.append("d1", b"1", {})
        second = hub.telemetry.append("d1", b"2", {})
        assert seen == []
        await hub.flush()
        assert seen == [first, second]
        await hub.flush()
        hub.telemetry.append("d1", b"3", {})
        await asyncio.sleep(0.01)  # nobody waits, yet it is committed
        assert len(seen) == 3
        stop()
        stop()
        hub.telemetry.append("d1", b"4", {})
        await hub.flush()
        assert len(seen) == 3

    asyncio.run(scene())


def test_one_commit_for_all_that_a_turn_of_the_loop_appends():
    hub = make_hub("d1")
    commits = []
    hub.storage.after_commit(commits.append)

    async def device():
        for _ in range(10):
            hub.telemetry.append("d1", b"", {})
        await hub.flush()

    async def scene():
        await asyncio.gather(*[device() for _ in range(20)])

    asyncio.run(scene())
    assert len(commits) == 1
    assert hub.telemetry.last_sequence_number(hub.telemetry.partition_of("d1")) == 199


def test_an_oversize_message_is_refused():
    hub = make_hub("d1")
    hub.telemetry.append("d1", b"x" * (256 * 1024 - 4), {"$.ct": "ab", "k": "v"})
    for body, bag in ((b"x" * (256 * 1024 + 1), {}), (b"x" * (256 * 1024), {"a": None})):
        with raises(HubError) as refused:
            hub.telemetry.append("d1", body, bag)
        assert refused.error.code == 413001


def test_retention_is_bounded_and_numbers_go_on(tmp_path):
    hub = make_hub("d1", path=tmp_path / "state")
    partition = hub.telemetry.partition_of("d1")
    for _ in range(5):
        hub.telemetry.append("d1", b"", {})
    hub.clock.now_s += telemetry.RETENTION_S + 1
    hub.sweep()
    assert [event.sequence_number for event in hub.telemetry.read(partition)] == [4]
    hub.storage.close()
    hub = make_hub(path=tmp_path / "state")
    assert hub.telemetry.append("d1", b"", {}).sequence_number == 5
    hub.storage.trim_events(0, 1)
    assert [event.sequence_number for event in hub.telemetry.read(partition)] == [5]


def test_events_of_a_twin_are_not_those_of_the_device_with_its_name():
    hub = make_hub("d1")
    hub.telemetry.append("d1", b"1", {})
    hub.telemetry.append_cloud_event("d1", b"2", {"type": "microsoft.iot.telemetry"})
    sent, told = hub.telemetry.read(hub.telemetry.partition_of("d1"))
    assert (sent.device_id, told.device_id) == ("d1", "")
    assert told.properties == {"cloudEvents:type": "microsoft.iot.telemetry"}
    assert set(told.annotations) == {"iothub-enqueuedtime"}
