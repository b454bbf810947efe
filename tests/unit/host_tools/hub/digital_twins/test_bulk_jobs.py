"""Bulk jobs: a graph from a blob and back to nothing, what is refused on the way, and restarts."""

import asyncio
import json

import pytest
from doubles.graph_in_memory import FLOOR, MODELS, ROOM, make_graph

from host_tools.hub.containers import LocalContainers
from host_tools.hub.digital_twins.bulk_jobs import DELETION, IMPORT, BulkJobs
from host_tools.hub.digital_twins.errors import GraphError
from host_tools.hub.storage import Storage, StorageError

LINES = [
    {"Section": "Header"},
    {"fileVersion": "1.0.0", "author": "us"},
    {"Section": "Models"},
    *MODELS,
    {"Section": "Twins"},
    {"$dtId": "floor", "$metadata": {"$model": FLOOR}},
    {"$dtId": "room", "$metadata": {"$model": ROOM}, "temperature": 20},
    {"Section": "Relationships"},
    {
        "$sourceId": "floor",
        "$relationshipId": "r",
        "$targetId": "room",
        "$relationshipName": "contains",
    },
]


def order(folder, lines=LINES):
    (folder / "graph.ndjson").write_text(
        "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    )
    place = folder.as_uri()
    return {
        "inputBlobUri": f"{place}/graph.ndjson",
        "outputBlobUri": f"{place}/log.ndjson",
    }


def make_jobs(storage=None):
    storage = storage or Storage()
    graph = make_graph(storage)
    jobs = BulkJobs(storage, lambda: 1000.0, graph)
    jobs.containers = LocalContainers(has_folders=True)
    return graph, jobs


async def ended(jobs, kind, job_id):
    for _ in range(500):
        if jobs.get(kind, job_id)["status"] != "running":
            break
        await asyncio.sleep(0.01)
    return jobs.get(kind, job_id)


def test_a_graph_is_read_and_deleted(tmp_path):
    async def run():
        graph, jobs = make_jobs()
        begun = jobs.begin(IMPORT, "first", order(tmp_path))
        assert (begun["status"], begun["id"]) == ("running", "first")
        done = await ended(jobs, IMPORT, "first")
        assert (done["status"], done["error"]) == ("succeeded", None)
        assert graph.get_twin("room")["temperature"] == 20
        assert graph.get_relationship("floor", "r")["$targetId"] == "room"
        jobs.begin(DELETION, "all", None)
        assert (await ended(jobs, DELETION, "all"))["status"] == "succeeded"
        assert list(graph.all_twins()) == []
        assert list(graph.models.list()) == []
        assert [each["id"] for each in jobs.all(IMPORT)] == ["first"]

    asyncio.run(run())


def test_a_relationship_whose_source_is_called_as_in_the_documents_sample(tmp_path):
    edge = {"$dtId": "floor", "$relationshipId": "s", "$targetId": "room"}

    async def run():
        graph, jobs = make_jobs()
        jobs.begin(
            IMPORT, "i", order(tmp_path, [*LINES, {**edge, "$relationshipName": "contains"}])
        )
        assert (await ended(jobs, IMPORT, "i"))["status"] == "succeeded"
        assert graph.get_relationship("floor", "s")["$sourceId"] == "floor"

    asyncio.run(run())


def test_what_is_refused_is_told_and_the_rest_is_taken(tmp_path):
    lines = [*LINES[:7], {"$dtId": "bad", "$metadata": {"$model": "dtmi:no;1"}}, *LINES[7:]]
    lines += ["no JSON", "3", {"Section": "Other"}, {}]

    async def run():
        graph, jobs = make_jobs()
        jobs.begin(IMPORT, "i", order(tmp_path, lines))
        done = await ended(jobs, IMPORT, "i")
        assert done["status"] == "failed"
        assert "4 entities" in done["error"]["message"]
        assert graph.get_relationship("floor", "r")
        log = [json.loads(line) for line in (tmp_path / "log.ndjson").read_text().splitlines()]
        assert [each["logType"] for each in log] == ["Error"] * 4 + ["Info"]
        assert "ModelNotFound" in log[0]["details"]["message"]

    asyncio.run(run())


def test_a_blob_that_is_not_there_ends_the_job(tmp_path):
    async def run():
        _, jobs = make_jobs()
        place = tmp_path.as_uri()
        jobs.begin(IMPORT, "i", {"inputBlobUri": f"{place}/x", "outputBlobUri": f"{place}/y"})
        done = await ended(jobs, IMPORT, "i")
        assert done["status"] == "failed"
        assert "cannot be read" in done["error"]["message"]

    asyncio.run(run())


def test_a_disk_that_fails_ends_the_job(tmp_path):
    class Failing(Storage):
        fails = False

        def write(self, changes):
            if self.fails:
                raise StorageError("no space left")
            super().write(changes)

    async def run():
        storage = Failing()
        _, jobs = make_jobs(storage)
        jobs.begin(IMPORT, "i", order(tmp_path))
        storage.fails = True
        done = await ended(jobs, IMPORT, "i")
        assert done["status"] == "failed"
        assert done["error"]["message"] == "no space left"
        storage.fails = False
        jobs.begin(DELETION, "d", None)
        assert (await ended(jobs, DELETION, "d"))["status"] == "succeeded"

    asyncio.run(run())


def code(call, *arguments):
    with pytest.raises(GraphError) as caught:
        call(*arguments)
    return caught.value.code


def test_one_at_a_time_cancelled_and_forgotten(tmp_path):
    async def run():
        _, jobs = make_jobs()
        wanted = order(tmp_path)
        jobs.begin(IMPORT, "i", wanted)
        assert code(jobs.begin, IMPORT, "i", wanted) == "JobAlreadyExists"
        assert code(jobs.begin, DELETION, "d", None) == "JobLimitReached"
        assert code(jobs.delete, IMPORT, "i") == "OperationNotAllowed"
        assert jobs.cancel(IMPORT, "i")["status"] == "cancelled"
        assert code(jobs.cancel, IMPORT, "i") == "OperationNotAllowed"
        jobs.delete(IMPORT, "i")
        assert code(jobs.get, IMPORT, "i") == "JobNotFound"
        assert code(jobs.begin, IMPORT, "i", {}) == "InvalidArgument"
        assert code(jobs.begin, IMPORT, "a/b", wanted) == "InvalidArgument"
        await jobs.stop()

    asyncio.run(run())


def test_a_job_that_a_stop_cut_off_has_failed(tmp_path):
    async def run():
        storage = Storage(tmp_path / "state")
        _, jobs = make_jobs(storage)
        jobs.begin(IMPORT, "i", order(tmp_path))
        await jobs.stop()
        storage.close()
        storage = Storage(tmp_path / "state")
        _, jobs = make_jobs(storage)
        assert jobs.get(IMPORT, "i")["status"] == "failed"
        storage.close()

    asyncio.run(run())


def test_a_deletion_goes_on_beside_others_who_change_the_graph():
    """Between two of its turns a client may delete what it was about to, or add to it."""

    async def run(meanwhile):
        graph, jobs = make_jobs()
        graph.models.upload(MODELS)
        for number in range(120):
            graph.put_twin(f"floor{number}", {"$metadata": {"$model": FLOOR}})
            body = {"$relationshipName": "contains", "$targetId": f"floor{number}"}
            graph.put_relationship("floor0", f"r{number}", body)
        jobs.begin(DELETION, "all", None)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        meanwhile(graph)
        done = await ended(jobs, DELETION, "all")
        jobs.begin(DELETION, "again", None)
        assert (await ended(jobs, DELETION, "again"))["status"] == "succeeded"
        assert list(graph.all_twins()) == []
        return done

    def delete(graph):
        graph.delete_relationship("floor0", "r119")
        graph.delete_twin("floor119")

    def add(graph):
        for number in range(120):
            body = {"$relationshipName": "contains", "$targetId": f"floor{number}"}
            graph.put_relationship("floor1", f"new{number}", body)

    assert asyncio.run(run(delete))["status"] == "succeeded"
    done = asyncio.run(run(add))
    assert done["status"] == "failed"
    assert "RelationshipsNotDeleted" in done["error"]["message"]
