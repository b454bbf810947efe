"""Imports and exports, from and to a container in memory."""

import asyncio
import json

from doubles.hub_in_memory import make_hub
from expect import raises

from host_tools.hub.containers import LocalContainers
from host_tools.hub.state.containers import ContainerError
from host_tools.hub.state.errors import HubError

EXPORT = {"type": "export", "outputBlobContainerUri": "http://blobs/c?sig=secret"}
IMPORT = {
    "type": "import",
    "inputBlobContainerUri": "http://blobs/c?sig=secret",
    "outputBlobContainerUri": "http://blobs/c?sig=secret",
}


class Blobs(dict):
    """`gate` holds up every access until it is set."""

    def __init__(self, **blobs):
        super().__init__(blobs)
        self.gate = asyncio.Event()
        self.gate.set()
        self.uris = set()

    async def read(self, uri, name):
        await self.gate.wait()
        self.uris.add(uri)
        if name not in self:
            raise ContainerError(f"there is no {name}")
        return self[name]

    async def write(self, uri, name, data):
        await self.gate.wait()
        self.uris.add(uri)
        self[name] = data


def lines(data):
    return [json.loads(line) for line in data.splitlines()]


async def ended(hub, job):
    while (found := hub.transfers.get(job["jobId"]))["status"] == "running":
        await asyncio.sleep(0)
    return found


def run(scene):
    async def bounded():
        await asyncio.wait_for(scene(), 20)

    asyncio.run(bounded())


def code(block, *arguments):
    with raises(HubError) as caught:
        block(*arguments)
    return caught.error.code


def test_out_of_one_hub_and_into_another():
    async def scene():
        hub, other, blobs = make_hub("d1", "d2"), make_hub("d2", "d3"), Blobs()
        hub.registry.create({"deviceId": "d1", "moduleId": "m1", "managedBy": "me"})
        hub.twins.update_desired("d1", {"tags": {"a": 1}, "properties": {"desired": {"b": 2}}})
        hub.registry.update("d2", {"status": "disabled"}, None)
        hub.transfers.containers = other.transfers.containers = blobs
        done = await ended(hub, hub.transfers.create(EXPORT))
        assert (done["status"], done["progress"], done["failureReason"]) == (
            "completed",
            100,
            None,
        )
        assert blobs.uris == {"http://blobs/c?sig=secret"}
        assert "secret" not in json.dumps(done)
        assert [each["id"] for each in lines(blobs["devices.txt"])] == ["d1", "d1", "d2"]

        done = await ended(other, other.transfers.create(IMPORT))
        assert done["status"] == "completed"
        assert list(blobs) == ["devices.txt"]
        assert other.registry.device_ids() == ("d1", "d2", "d3")
        for key in ("d1", "d1/m1", "d2"):
            assert other.registry.keys(key) == hub.registry.keys(key)
        assert other.registry.get("d2")["status"] == "disabled"
        twin = other.twins.get("d1")
        assert (twin["tags"], twin["properties"]["desired"]["b"]) == ({"a": 1}, 2)
        assert other.registry.get("d1/m1")["managedBy"] == "me"

    run(scene)


def test_without_keys_and_with_configurations():
    async def scene():
        hub, other, blobs = make_hub("d1"), make_hub(), Blobs()
        hub.transfers.containers = other.transfers.containers = blobs
        content = {"deviceContent": {"properties.desired.a": {"b": 1}}}
        hub.configurations.create("c1", {"content": content, "targetCondition": "*"})
        options = {"excludeKeysInExport": True, "includeConfigurations": True}
        job = hub.transfers.create({**EXPORT, **options, "outputBlobName": "all.txt"})
        await ended(hub, job)
        (entry,) = lines(blobs["all.txt"])
        assert entry["authentication"]["symmetricKey"] == {
            "primaryKey": None,
            "secondaryKey": None,
        }
        assert lines(blobs["configurations.txt"])[0]["id"] == "c1"
        job = {**IMPORT, "inputBlobName": "all.txt", "includeConfigurations": True}
        assert (await ended(other, other.transfers.create(job)))["status"] == "completed"
        assert other.configurations.get("c1")["content"] == content
        assert other.twins.get("d1")["properties"]["desired"]["a"] == {"b": 1}

    run(scene)


def test_lines_that_fail_are_told_and_the_others_are_done():
    async def scene():
        hub = make_hub("d1")
        text = (
            b'{"id": "d1", "importMode": "create"}\n'
            b'{"id": "d2", "importMode": "create"}\n'
            b"nonsense\n\n[]\n"
            b'{"id": "d1", "importMode": "createOrUpdateIfMatchETag", "eTag": "stale"}\n'
            b'{"id": "d9", "importMode": "delete"}\n'
        )
        blobs = Blobs(**{"devices.txt": text})
        hub.transfers.containers = blobs
        done = await ended(hub, hub.transfers.create(IMPORT))
        assert done["status"] == "completed"
        assert hub.registry.device_ids() == ("d1", "d2")
        told = [each["errorCode"] for each in lines(blobs["importErrors.log"])]
        assert told == [
            "DeviceAlreadyExists",
            "ArgumentInvalid",
            "ArgumentInvalid",
            "PreconditionFailed",
            "DeviceNotFound",
        ]

    run(scene)


def test_one_at_a_time_and_it_can_be_cancelled():
    async def scene():
        hub, blobs = make_hub("d1"), Blobs()
        blobs.gate.clear()
        hub.transfers.containers = blobs
        job = hub.transfers.create(EXPORT)
        assert code(hub.transfers.create, EXPORT) == 403003
        hub.transfers.cancel(job["jobId"])
        assert hub.transfers.get(job["jobId"])["status"] == "cancelled"
        assert code(hub.transfers.cancel, job["jobId"]) == 412003
        assert code(hub.transfers.get, "nothing") == 404002
        blobs.gate.set()
        await ended(hub, hub.transfers.create(EXPORT))
        assert [each["status"] for each in hub.transfers.all()] == ["completed", "cancelled"]
        await hub.stop()

    run(scene)


def test_what_cannot_be_reached_is_a_failed_job():
    async def scene():
        hub = make_hub("d1")
        done = await ended(hub, hub.transfers.create(EXPORT))
        assert (done["status"], done["failureReason"]) == (
            "failed",
            "this hub reaches no containers",
        )
        hub.transfers.containers = Blobs()
        done = await ended(hub, hub.transfers.create(IMPORT))
        assert (done["status"], done["failureReason"]) == ("failed", "there is no devices.txt")

    run(scene)


def test_an_address_that_is_none_is_a_failed_job_and_the_next_can_begin():
    async def scene():
        hub = make_hub("d1")
        hub.transfers.containers = LocalContainers(has_folders=True)
        for _ in range(2):
            job = hub.transfers.create({**EXPORT, "outputBlobContainerUri": "file://[x/y"})
            done = await ended(hub, job)
            assert (done["status"], done["failureReason"]) == (
                "failed",
                "a folder is written as file:///absolute/path",
            )

    run(scene)


def test_a_fault_of_ours_is_a_failed_job_and_the_next_can_begin(caplog):
    class Broken(Blobs):
        async def write(self, uri, name, data):
            raise ZeroDivisionError

    async def scene():
        hub = make_hub("d1")
        hub.transfers.containers = Broken()
        assert (await ended(hub, hub.transfers.create(EXPORT)))["status"] == "failed"
        hub.transfers.containers = Blobs()
        assert (await ended(hub, hub.transfers.create(EXPORT)))["status"] == "completed"

    run(scene)
    assert "ZeroDivisionError" in caplog.text


def test_what_is_no_transfer():
    hub = make_hub()
    for request in (
        {},
        {"type": "backup"},
        {"type": "export"},
        {"type": "import", "outputBlobContainerUri": "x"},
        {**EXPORT, "outputBlobName": "../../etc/passwd"},
        {**EXPORT, "outputBlobName": 5},
        {**EXPORT, "outputBlobContainerUri": "x" * 5000},
    ):
        assert code(hub.transfers.create, request) == 400004, request


def test_one_that_the_hub_was_stopped_in_has_failed(tmp_path):
    path = tmp_path / "hub.sqlite"

    async def scene():
        hub, blobs = make_hub("d1", path=path), Blobs()
        blobs.gate.clear()
        hub.transfers.containers = blobs
        hub.transfers.create(EXPORT)
        await asyncio.sleep(0)
        await hub.stop()
        hub.storage.close()

    run(scene)
    (job,) = make_hub(path=path).transfers.all()
    assert (job["status"], job["failureReason"]) == ("failed", "The hub was stopped meanwhile.")
    assert b"secret" not in path.read_bytes()
