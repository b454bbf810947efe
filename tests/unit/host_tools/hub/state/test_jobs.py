"""Scheduled jobs, with the clock in the test's hand: who gets what, when, and what is told."""

import asyncio

import pytest
from doubles.hub_connection import FakeConnection
from doubles.hub_in_memory import make_hub
from expect import raises

from host_tools.hub.state import jobs
from host_tools.hub.state.documents import iso_time, parse_iso_time
from host_tools.hub.state.errors import HubError

TAG = {"type": "scheduleUpdateTwin", "queryCondition": "*", "updateTwin": {"tags": {"a": 1}}}


def call(name="blink", condition="*", **method):
    return {
        "type": "scheduleDeviceMethod",
        "queryCondition": condition,
        "cloudToDeviceMethod": {"methodName": name, **method},
    }


def counts(hub, job_id):
    found = hub.jobs.get(job_id)["deviceJobStatistics"]
    names = ("deviceCount", "succeededCount", "failedCount", "runningCount", "pendingCount")
    return tuple(found[name] for name in names)


async def ended(hub, job_id):
    while hub.jobs.get(job_id)["status"] not in ("completed", "failed", "cancelled"):
        await asyncio.sleep(0)
    return hub.jobs.get(job_id)


def run(scene):
    async def bounded():
        await asyncio.wait_for(scene(), 20)

    asyncio.run(bounded())


def code(block, *arguments):
    with raises(HubError) as caught:
        block(*arguments)
    return caught.error.code


def test_twins_of_those_for_whom_the_condition_holds():
    hub = make_hub("d1", "d2", "d3")

    async def scene():
        request = {**TAG, "queryCondition": "deviceId IN ['d1', 'd2']"}
        made = hub.jobs.create("j1", request)
        assert (made["status"], made["type"]) == ("queued", "scheduleUpdateTwin")
        done = await ended(hub, "j1")
        assert done["status"] == "completed"
        assert done["updateTwin"] == {"tags": {"a": 1}}
        assert counts(hub, "j1") == (2, 2, 0, 0, 0)
        assert [hub.twins.get(each)["tags"] for each in ("d1", "d2", "d3")] == [
            {"a": 1},
            {"a": 1},
            {},
        ]

    run(scene)


def test_what_fails_on_one_device_is_told_and_leaves_the_others():
    hub = make_hub("d1", "d2")

    async def scene():
        hub.twins.update_desired("d2", {"tags": {"x": 1}})
        stale = {**TAG["updateTwin"], "etag": hub.twins.get("d1")["etag"]}
        hub.jobs.create("j1", {**TAG, "updateTwin": stale})
        assert (await ended(hub, "j1"))["status"] == "completed"
        assert counts(hub, "j1") == (2, 1, 1, 0, 0)
        failed = [row for row in hub.jobs.rows() if row["status"] == "failed"]
        assert [(row["deviceId"], row["error"]["code"]) for row in failed] == [("d2", "412001")]

    run(scene)


def test_a_job_waits_for_its_time():
    hub = make_hub("d1")

    async def scene():
        start = iso_time(hub.clock() + 60)
        made = hub.jobs.create("j1", {**TAG, "startTime": start})
        assert (made["status"], made["startTime"]) == ("scheduled", start)
        hub.clock.now_s += 59
        hub.sweep()
        await asyncio.sleep(0)
        assert hub.jobs.get("j1")["status"] == "scheduled"
        hub.registry.create({"deviceId": "d2"})
        hub.clock.now_s += 1
        hub.sweep()
        done = await ended(hub, "j1")
        # The devices are those of the time when it runs
        assert counts(hub, "j1") == (2, 2, 0, 0, 0)
        assert done["endTime"] == iso_time(hub.clock())

    run(scene)


def test_methods_and_their_answers():
    hub = make_hub("d1", "d2", "d3")
    for name, status in (("d1", 200), ("d2", 404)):
        methods = {"blink": lambda payload, status=status: (status, {"got": payload})}
        hub.connections.attach(name, FakeConnection(hub, name, methods))

    async def scene():
        hub.jobs.create("j1", call(payload={"n": 1}))
        assert (await ended(hub, "j1"))["status"] == "completed"
        assert counts(hub, "j1") == (3, 2, 1, 0, 0)
        rows = {row["deviceId"]: row for row in hub.jobs.rows()}
        answer = {"status": 404, "payload": {"got": {"n": 1}}}
        assert rows["d2"]["outcome"] == {"deviceMethodResponse": answer}
        assert rows["d3"]["error"]["code"] == "404103"
        assert rows["d3"]["jobType"] == "scheduleDeviceMethod"

    run(scene)


def test_a_thousand_devices_and_true_statistics():
    names = [f"d{number:03}" for number in range(1000)]
    hub = make_hub(*names)
    for name in names[:900]:
        answer = FakeConnection(hub, name, {"blink": lambda payload: (200, None)})
        hub.connections.attach(name, answer)

    async def scene():
        turns = 0
        hub.jobs.create("twins", TAG)
        hub.jobs.create("methods", call())
        while hub.jobs.get("twins")["status"] != "completed":
            await asyncio.sleep(0)
            turns += 1
        assert turns > 900  # others had their turns meanwhile
        await ended(hub, "methods")
        assert counts(hub, "twins") == (1000, 1000, 0, 0, 0)
        assert counts(hub, "methods") == (1000, 900, 100, 0, 0)

    run(scene)


def test_devices_that_are_silent_do_not_hold_up_the_others():
    names = [f"d{number:02}" for number in range(2 * jobs.METHODS_AT_ONCE)]
    hub = make_hub(*names)
    for name in names:
        silent = name < f"d{jobs.METHODS_AT_ONCE - 1:02}"
        answer = None if silent else lambda payload: (200, None)
        hub.connections.attach(name, FakeConnection(hub, name, {"blink": answer}))

    async def scene():
        hub.jobs.create("j1", call())
        while counts(hub, "j1")[1] < jobs.METHODS_AT_ONCE + 1:
            await asyncio.sleep(0)
        assert counts(hub, "j1") == (20, 11, 0, 9, 0)
        cancelled = hub.jobs.cancel("j1")
        assert cancelled["status"] == "cancelled"
        assert counts(hub, "j1") == (20, 11, 0, 0, 0)
        statuses = [row["status"] for row in hub.jobs.rows()]
        assert statuses.count("cancelled") == 9
        assert code(hub.jobs.cancel, "j1") == 412003
        await hub.stop()

    run(scene)


def test_a_job_whose_time_is_over_has_failed():
    hub = make_hub("d1", "d2")
    hub.connections.attach("d1", FakeConnection(hub, "d1", {"blink": None}))

    async def scene():
        hub.jobs.create("j1", {**call(), "maxExecutionTimeInSeconds": 1})
        done = await ended(hub, "j1")
        assert (done["status"], done["failureReason"]) == (
            "failed",
            "The job was not done after 1 s.",
        )
        assert counts(hub, "j1") == (2, 0, 2, 0, 0)

    run(scene)


def test_jobs_outlive_the_process_and_go_on(tmp_path):
    path = tmp_path / "hub.sqlite"
    hub = make_hub("d1", "d2", path=path)
    hub.connections.attach("d1", FakeConnection(hub, "d1", {"blink": None}))
    hub.connections.attach("d2", FakeConnection(hub, "d2", {"blink": lambda payload: (200, None)}))

    async def first():
        hub.jobs.create("j1", call())
        hub.jobs.create("later", {**TAG, "startTime": iso_time(hub.clock() + 60)})
        while counts(hub, "j1")[1] < 1:
            await asyncio.sleep(0)
        await hub.stop()
        hub.storage.close()

    run(first)
    again = make_hub(path=path)
    assert counts(again, "j1") == (2, 1, 0, 0, 1)
    answer = FakeConnection(again, "d1", {"blink": lambda payload: (201, None)})
    again.connections.attach("d1", answer)

    async def second():
        again.clock.now_s += 60
        again.sweep()
        assert (await ended(again, "j1"))["status"] == "completed"
        assert counts(again, "j1") == (2, 2, 0, 0, 0)
        await ended(again, "later")
        assert again.twins.get("d1")["tags"] == {"a": 1}

    run(second)
    again.storage.close()
    third = make_hub(path=path)
    assert [each["status"] for each in third.jobs.find(None, None)] == ["completed", "completed"]
    assert len(list(third.jobs.rows())) == 4


def test_found_by_type_and_status():
    hub = make_hub("d1")

    async def scene():
        hub.jobs.create("j1", TAG)
        await ended(hub, "j1")
        hub.jobs.create("j2", {**call(), "startTime": iso_time(hub.clock() + 9)})
        found = [each["jobId"] for each in hub.jobs.find("scheduleupdatetwin", None)]
        assert found == ["j1"]
        assert [each["jobId"] for each in hub.jobs.find(None, "Scheduled")] == ["j2"]
        assert hub.jobs.find("scheduleUpdateTwin", "failed") == []
        assert code(hub.jobs.create, "j1", TAG) == 409104
        assert code(hub.jobs.get, "j9") == 404002
        assert code(hub.jobs.cancel, "j9") == 404002

    run(scene)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "reboot"},
        {"type": None},
        {"jobId": "other"},
        {"queryCondition": None},
        {"queryCondition": "tags.a ="},
        {"updateTwin": None},
        {"updateTwin": {"tags": {}}},
        {"updateTwin": {"tags": {"a b": 1}}},
        {"startTime": "tomorrow"},
        {"startTime": 5},
        {"maxExecutionTimeInSeconds": -1},
        {"maxExecutionTimeInSeconds": True},
        {"type": "scheduleDeviceMethod"},
        {**call(), "cloudToDeviceMethod": {"methodName": 5}},
        {**call(), "cloudToDeviceMethod": {"methodName": "x", "connectTimeoutInSeconds": "x"}},
    ],
)
def test_what_is_no_job(change):
    hub = make_hub()
    assert code(hub.jobs.create, "j1", {**TAG, **change}) == 400004
    assert code(hub.jobs.create, "j 1", TAG) == 400004


def test_few_are_under_way_and_not_all_are_kept(monkeypatch):
    monkeypatch.setattr(jobs, "MAX_ACTIVE", 2)
    monkeypatch.setattr(jobs, "KEPT", 2)
    hub = make_hub("d1")

    async def scene():
        later = {**TAG, "startTime": iso_time(hub.clock() + 60)}
        hub.jobs.create("a", later)
        hub.clock.now_s += 1
        hub.jobs.create("b", later)
        assert code(hub.jobs.create, "c", later) == 429004
        for name in ("a", "b"):
            hub.jobs.cancel(name)
        hub.clock.now_s += 1
        hub.jobs.create("c", TAG)
        await ended(hub, "c")
        assert {each["jobId"] for each in hub.jobs.find(None, None)} == {"b", "c"}
        assert [row["jobId"] for row in hub.jobs.rows()] == ["c"]

    run(scene)


def test_jobs_of_many_devices_are_kept_the_shorter(monkeypatch):
    monkeypatch.setattr(jobs, "KEPT_PARTS", 5)
    hub = make_hub("d1", "d2")

    async def scene():
        for name in ("a", "b", "c", "d"):
            hub.clock.now_s += 1
            hub.jobs.create(name, TAG)
            await ended(hub, name)
        assert [each["jobId"] for each in hub.jobs.find(None, None)] == ["d", "c", "b"]

    run(scene)


def test_times():
    for text, seconds in (
        ("1970-01-01T00:00:10Z", 10),
        ("1970-01-01T01:00:00.5000000+01:00", 0.5),
        ("1970-01-01T00:00:01", 1),
    ):
        assert parse_iso_time(text) == seconds
    for text in ("", "1970-01-01", "1970-13-01T00:00:00Z", "1970-01-01T00:00:00+99:99", None):
        with raises(ValueError):
            parse_iso_time(text)
