import asyncio

from doubles.hub_connection import FakeConnection
from doubles.hub_in_memory import make_hub


def test_a_second_connection_evicts_the_first():
    hub = make_hub("d1")
    first, second = FakeConnection(), FakeConnection()
    hub.connections.attach("d1", first)
    hub.connections.attach("d1", second)
    assert first.closed
    assert not second.closed
    assert not hub.connections.detach("d1", first)
    assert hub.connections.is_connected("d1")
    assert hub.connections.detach("d1", second)
    assert not hub.connections.is_connected("d1")
    assert hub.connections.count() == 0


def test_a_detach_during_eviction_does_not_remove_the_new_one():
    hub = make_hub("d1")

    class Eager(FakeConnection):
        def close(self, reason):
            hub.connections.detach("d1", self)

    hub.connections.attach("d1", Eager())
    second = FakeConnection()
    hub.connections.attach("d1", second)
    assert hub.connections.current("d1") is second


def test_subscriptions_outlive_connection_and_process(tmp_path):
    hub = make_hub("d1", path=tmp_path / "state")
    connection = FakeConnection()
    assert not hub.connections.attach("d1", connection)
    hub.connections.subscribe("d1", "$iothub/twin/res/#", 0)
    hub.connections.subscribe("d1", "$iothub/methods/POST/#", 1)
    hub.connections.unsubscribe("d1", "$iothub/twin/res/#")
    hub.connections.detach("d1", connection)
    hub.storage.close()
    hub = make_hub(path=tmp_path / "state")
    assert hub.connections.subscriptions("d1") == {"$iothub/methods/POST/#": 1}
    assert hub.connections.attach("d1", FakeConnection())
    assert not hub.connections.attach("d1", FakeConnection(), clean_session=True)
    hub.storage.close()
    assert make_hub(path=tmp_path / "state").connections.subscriptions("d1") == {}


def test_state_and_activity_are_told():
    hub = make_hub("d1")
    connection = FakeConnection()
    hub.connections.attach("d1", connection)
    identity = hub.registry.get("d1")
    assert identity["connectionState"] == "Connected"
    assert identity["connectionStateUpdatedTime"] == "2023-11-14T22:13:20.000000Z"
    hub.clock.now_s += 60
    hub.telemetry.append("d1", b"", {})
    assert hub.twins.get("d1")["lastActivityTime"] == "2023-11-14T22:14:20.000000Z"


def test_when_a_device_was_last_there_outlives_the_process(tmp_path):
    hub = make_hub("d1", path=tmp_path / "state")
    connection = FakeConnection()
    hub.connections.attach("d1", connection)
    hub.clock.now_s += 60
    hub.connections.touch("d1")
    hub.connections.detach("d1", connection)
    hub.sweep()
    before = hub.registry.get("d1")
    assert before["connectionStateUpdatedTime"] == "2023-11-14T22:14:20.000000Z"
    hub.storage.close()
    hub = make_hub(path=tmp_path / "state")
    assert hub.registry.get("d1") == before
    hub.connections.attach("d1", connection)
    hub.registry.delete("d1")
    hub.sweep()
    assert list(hub.storage.load("activity")) == []


def test_waiting_for_a_change_leaves_nothing_behind():
    hub = make_hub("d1")

    async def scene():
        waiter = asyncio.ensure_future(hub.connections.changed("d1"))
        await asyncio.sleep(0)
        hub.connections.subscribe("d1", "x", 0)
        await waiter
        cancelled = asyncio.ensure_future(hub.connections.changed("d1"))
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)

    asyncio.run(scene())
    assert not hub.connections._waiters
