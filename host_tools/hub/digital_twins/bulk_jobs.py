"""Bulk jobs: a whole graph read from a blob, or deleted. One at a time.

A blob is lines of JSON in sections, {"Section": "Header"}, "Models", "Twins", "Relationships".
What is refused is told in the output blob, and the job goes on; in the end it has failed. That it
ends so, and what its log is like, is not confirmed.
Source: Azure Digital Twins, "Import models, twins, and relationships in bulk with the Jobs API";
REST specification of the data plane, 2023-10-31.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from host_tools.hub.digital_twins.errors import GraphError, invalid_argument
from host_tools.hub.digital_twins.graph import Graph
from host_tools.hub.state.containers import ContainerError, Containers, NoContainers
from host_tools.hub.state.documents import Json, JsonObject, iso_time, parse_json
from host_tools.hub.state.store import Change, Store
from host_tools.hub.state.tasks import Tasks
from host_tools.hub.storage import StorageError

IMPORT, DELETION = "imports", "deletions"
MAX_KEPT = 20
_KIND = "graph.job"
_RUNNING, _SUCCEEDED, _FAILED, _CANCELLED = "running", "succeeded", "failed", "cancelled"
_SECTIONS = ("Header", "Models", "Twins", "Relationships")
_A_TURN = 50
# So long the service keeps what became of a job
_PURGE_S = 60 * 24 * 3600.0


class BulkJobs:
    """`containers` is set by who runs the hub."""

    def __init__(self, store: Store, clock: Callable[[], float], graph: Graph) -> None:
        self.containers: Containers = NoContainers()
        self._store = store
        self._clock = clock
        self._graph = graph
        self._tasks = Tasks()
        self._jobs: dict[tuple[str, str], JsonObject] = {}
        for key, job in store.load(_KIND):
            assert isinstance(job, dict)
            kind, _, job_id = key.partition("/")
            self._jobs[kind, job_id] = job
            if job["status"] == _RUNNING:
                self._end(kind, job, _FAILED, "The hub was stopped meanwhile.")

    def begin(self, kind: str, job_id: str, request: Json) -> JsonObject:
        """Call it in an event loop. Raises: GraphError InvalidArgument, JobAlreadyExists,
        JobLimitReached (one runs already)."""
        places = _parse_places(request) if kind == IMPORT else {}
        if not 1 <= len(job_id) <= 128 or "/" in job_id:
            raise invalid_argument("The id of a job is 1 to 128 characters without '/'.")
        if (kind, job_id) in self._jobs:
            raise GraphError("JobAlreadyExists", f"There is a job {job_id} already.")
        if any(each["status"] == _RUNNING for each in self._jobs.values()):
            raise GraphError("JobLimitReached", "A bulk job runs already; one may at a time.")
        self._forget_old()
        now = self._clock()
        job: JsonObject = {
            "id": job_id,
            **places,
            "status": _RUNNING,
            "createdDateTime": iso_time(now),
            "lastActionDateTime": iso_time(now),
            "finishedDateTime": None,
            "purgeDateTime": iso_time(now + _PURGE_S),
            "error": None,
        }
        self._keep(kind, job)
        work = partial(self._import, job) if kind == IMPORT else self._delete
        self._tasks.start(f"{kind}/{job_id}", self._run(kind, job, work))
        return dict(job)

    def get(self, kind: str, job_id: str) -> JsonObject:
        """Raises: GraphError JobNotFound."""
        found = self._jobs.get((kind, job_id))
        if found is None:
            raise GraphError("JobNotFound", f"There is no job {job_id}.")
        return dict(found)

    def all(self, kind: str) -> list[JsonObject]:
        return [dict(job) for (each, _), job in self._jobs.items() if each == kind]

    def delete(self, kind: str, job_id: str) -> None:
        """What became of a job. Raises: GraphError JobNotFound, OperationNotAllowed (it runs)."""
        if self.get(kind, job_id)["status"] == _RUNNING:
            raise GraphError("OperationNotAllowed", f"The job {job_id} runs; cancel it first.")
        self._store.write([Change(_KIND, f"{kind}/{job_id}", None)])
        del self._jobs[kind, job_id]

    def cancel(self, kind: str, job_id: str) -> JsonObject:
        """What is done already stays. Raises: GraphError JobNotFound, OperationNotAllowed."""
        if self.get(kind, job_id)["status"] != _RUNNING:
            raise GraphError("OperationNotAllowed", f"The job {job_id} has ended already.")
        self._tasks.cancel(f"{kind}/{job_id}")
        self._end(kind, self._jobs[kind, job_id], _CANCELLED)
        return self.get(kind, job_id)

    async def stop(self) -> None:
        await self._tasks.stop()

    async def _run(self, kind: str, job: JsonObject, work: Callable[[], Awaitable[int]]) -> None:
        """`work` gives how many were refused."""
        try:
            refused = await work()
        except (ContainerError, GraphError, StorageError) as error:
            self._end(kind, job, _FAILED, _reason(error))
        else:
            told = (
                f"{refused} entities were refused; the output blob says which." if refused else ""
            )
            self._end(kind, job, _FAILED if refused else _SUCCEEDED, told)

    async def _import(self, job: JsonObject) -> int:
        data = await self.containers.read(*_split(str(job["inputBlobUri"])))
        log: list[JsonObject] = []
        for number, (section, line) in enumerate(_lines(data), 1):
            reason = self._take(section, line)
            if reason:
                log.append(self._log(job, "Error", f"line {number}: {reason}"))
            if not number % _A_TURN:
                await asyncio.sleep(0)
        refused = len(log)
        log.append(self._log(job, "Info", "finished"))
        lines = b"".join(json.dumps(each).encode() + b"\n" for each in log)
        await self.containers.write(*_split(str(job["outputBlobUri"])), lines)
        return refused

    def _take(self, section: str, line: bytes) -> str:
        """Returns: why it is refused, or nothing."""
        try:
            document = parse_json(line)
            if not isinstance(document, dict):
                return "it is not a JSON object"
            if section == "Models":
                self._graph.models.upload([document])
            elif section == "Twins":
                self._graph.put_twin(str(document.get("$dtId")), document)
            elif section == "Relationships":
                source, name = _source(document), str(document.get("$relationshipId"))
                self._graph.put_relationship(source, name, document)
            elif section != "Header":
                return f"{section or 'no'} section is known; it is {', '.join(_SECTIONS)}"
        except ValueError as error:
            return f"it is not JSON: {error}"
        except GraphError as error:
            return _reason(error)
        return ""

    async def _delete(self) -> int:
        for number, _ in enumerate(self._graph.delete_everything(), 1):
            if not number % _A_TURN:
                await asyncio.sleep(0)
        return 0

    def _log(self, job: JsonObject, kind: str, text: str) -> JsonObject:
        return {
            "timestamp": iso_time(self._clock()),
            "jobId": job["id"],
            "jobType": "Import",
            "logType": kind,
            "details": {"message": text},
        }

    def _end(self, kind: str, job: JsonObject, status: str, reason: str = "") -> None:
        """In memory first: a job that cannot be kept has ended all the same, and others may
        begin. Raises: StorageError."""
        now = iso_time(self._clock())
        job |= {"status": status, "lastActionDateTime": now, "finishedDateTime": now}
        if reason:
            job["error"] = {"code": "JobFailed", "message": reason}
        self._keep(kind, job)

    def _keep(self, kind: str, job: JsonObject) -> None:
        self._store.write([Change(_KIND, f"{kind}/{job['id']}", dict(job))])
        self._jobs[kind, str(job["id"])] = job

    def _forget_old(self) -> None:
        for kind, job_id in list(self._jobs)[: max(0, len(self._jobs) + 1 - MAX_KEPT)]:
            self.delete(kind, job_id)


def _reason(error: Exception) -> str:
    return f"{error.code}: {error.message}" if isinstance(error, GraphError) else str(error)


def _source(relationship: JsonObject) -> str:
    """The documents' sample calls it $dtId, which no relationship has otherwise."""
    named = relationship.pop("$dtId", None)
    return str(relationship.get("$sourceId", named))


def _parse_places(request: Json) -> JsonObject:
    found: JsonObject = {}
    for name in ("inputBlobUri", "outputBlobUri"):
        value = request.get(name) if isinstance(request, dict) else None
        if not isinstance(value, str) or "/" not in value:
            raise invalid_argument(f"/{name}: it is missing, or not the address of a blob.")
        found[name] = value
    return found


def _split(uri: str) -> tuple[str, str]:
    """The container and the name of a blob; a key (SAS) goes with the container."""
    address, mark, key = uri.partition("?")
    container, _, name = address.rpartition("/")
    return container + mark + key, name


def _lines(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Each line with the section that it is in."""
    section = ""
    for line in data.splitlines():
        if not line.strip():
            continue
        if b'"Section"' in line:
            try:
                found = parse_json(line)
            except ValueError:
                found = None
            if isinstance(found, dict) and isinstance(found.get("Section"), str):
                section = str(found["Section"])
                continue
        yield section, line
