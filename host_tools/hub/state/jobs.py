"""Scheduled jobs: a twin update or a method for every device that a condition holds for.

A job waits for its time, runs over its devices, and ends as completed when each has had its turn,
whatever came of it; as failed when its time to execute is over first. The parts of a job that a
hub was stopped in go on after the next start. What the service calls a failed job beside that is
not confirmed. Source: Azure IoT Hub developer guide, "Schedule jobs on multiple devices".
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator

from host_tools.hub.query.language import parse_condition
from host_tools.hub.state import errors
from host_tools.hub.state import scheduled_job as values
from host_tools.hub.state.documents import Json, JsonObject
from host_tools.hub.state.errors import HubError
from host_tools.hub.state.methods import DEFAULT_RESPONSE_TIMEOUT_S, Methods
from host_tools.hub.state.scheduled_job import DeviceJob, ScheduledJob
from host_tools.hub.state.store import Change, Changes, Store
from host_tools.hub.state.tasks import Tasks
from host_tools.hub.state.twins import Twins

MAX_ACTIVE = 20  # not ended yet; the service's own limit is 10 of a standard unit
KEPT = 100  # ended ones; the service keeps them for 30 days
KEPT_PARTS = 50_000  # of devices in them
METHODS_AT_ONCE = 10  # of one job: devices that are away must not hold up those that are not
_KIND, _PART = "job", "device-job"


class Jobs:
    def __init__(
        self, store: Store, clock: Callable[[], float], twins: Twins, methods: Methods
    ) -> None:
        self._store = store
        self._clock = clock
        self._twins = twins
        self._methods = methods
        self._tasks = Tasks()
        self._jobs = {key: values.job_from_document(body) for key, body in store.load(_KIND)}
        for _, body in store.load(_PART):
            part = values.part_from_document(body)
            self._jobs[part.job_id].parts[part.device_id] = part

    def create(self, job_id: str, request: JsonObject) -> JsonObject:
        """Schedule a job; one whose time has come begins now. Call it in an event loop.
        Raises: HubError 400004, 409104 (exists), 429004 (too many)."""
        if job_id in self._jobs:
            raise errors.job_exists(job_id)
        if sum(each.status not in values.ENDED for each in self._jobs.values()) >= MAX_ACTIVE:
            raise errors.too_many_jobs(MAX_ACTIVE)
        job = values.parse_job(job_id, request, self._clock())
        self._forget_oldest()
        self._store.write([_job_change(job)])
        self._jobs[job_id] = job
        self._start_if_due(job)
        return job.view()

    def get(self, job_id: str) -> JsonObject:
        """Raises: HubError 404002."""
        return self._find(job_id).view()

    def cancel(self, job_id: str) -> JsonObject:
        """What has been done stays done. Raises: HubError 404002, 412003 (ended already)."""
        job = self._find(job_id)
        if job.status in values.ENDED:
            raise errors.job_has_ended(job_id, job.status)
        self._tasks.cancel(job_id)
        self._end(job, values.CANCELLED, values.CANCELLED)
        return job.view()

    def find(self, job_type: str | None, status: str | None) -> list[JsonObject]:
        """Jobs of that type and status, the youngest first; None is any."""
        youngest = sorted(self._jobs.values(), key=lambda each: each.created_s, reverse=True)
        return [
            each.view()
            for each in youngest
            if (job_type or each.type).lower() == each.type.lower()
            and (status or each.status).lower() == each.status
        ]

    def rows(self) -> Iterator[JsonObject]:
        """What `devices.jobs` is asked about: each device's part in each job."""
        for job in sorted(self._jobs.values(), key=lambda each: each.created_s):
            for part in job.parts.values():
                yield part.view(job)

    def sweep(self) -> None:
        """Start the jobs whose time has come. Needs an event loop if there are any."""
        for job in self._jobs.values():
            self._start_if_due(job)

    async def stop(self) -> None:
        """The hub stops: what runs goes on after its next start."""
        await self._tasks.stop()

    def _start_if_due(self, job: ScheduledJob) -> None:
        is_due = job.status not in values.ENDED and job.start_s <= self._clock()
        if is_due and not self._tasks.is_running(job.job_id):
            self._tasks.start(job.job_id, self._run(job))

    async def _run(self, job: ScheduledJob) -> None:
        if job.status != values.RUNNING:
            self._choose_devices(job)
        left_s = job.start_s + job.max_execution_s - self._clock()
        try:
            await asyncio.wait_for(self._work(job), max(0.0, left_s))
        except asyncio.TimeoutError:
            job.failure_reason = f"The job was not done after {job.max_execution_s} s."
            self._end(job, values.FAILED, values.FAILED)
        else:
            self._end(job, values.COMPLETED, values.FAILED)

    def _choose_devices(self, job: ScheduledJob) -> None:
        holds = parse_condition(job.condition)
        devices = [row.key for row in self._twins.rows() if holds(row) is True]
        job.parts = {each: DeviceJob(job.job_id, each) for each in devices}
        job.status = values.RUNNING
        self._store.write([_job_change(job), *map(_part_change, job.parts.values())])

    async def _work(self, job: ScheduledJob) -> None:
        waiting = deque(each for each in job.parts.values() if each.status not in values.ENDED)
        workers = METHODS_AT_ONCE if job.type == values.CALL_METHOD else 1

        async def work() -> None:
            while waiting:
                await self._do(job, waiting.popleft())
                # A thousand twins are some tenths of a second: others have their turns meanwhile
                await asyncio.sleep(0)

        await asyncio.gather(*(work() for _ in range(workers)))

    async def _do(self, job: ScheduledJob, part: DeviceJob) -> None:
        part.status, part.start_s = values.RUNNING, self._clock()
        try:
            if job.type == values.CALL_METHOD:
                part.outcome = await self._call(job.method or {}, part.device_id)
            else:
                self._update(job.twin or {}, part.device_id)
            part.status = values.COMPLETED
        except HubError as error:
            part.status = values.FAILED
            part.error = {"code": str(error.code), "description": error.message}
        part.end_s = self._clock()
        self._store.write([_part_change(part)])

    def _update(self, twin: JsonObject, device_id: str) -> None:
        etag = twin.get("etag")
        patch: JsonObject = {name: twin[name] for name in ("tags", "properties") if name in twin}
        self._twins.update_desired(device_id, patch, None if etag is None else str(etag))

    async def _call(self, method: JsonObject, device_id: str) -> JsonObject:
        result = await self._methods.invoke(
            device_id,
            str(method["methodName"]),
            method.get("payload"),
            _seconds(method.get("responseTimeoutInSeconds"), DEFAULT_RESPONSE_TIMEOUT_S),
            _seconds(method.get("connectTimeoutInSeconds"), 0),
        )
        return {"status": result.status, "payload": result.payload}

    def _end(self, job: ScheduledJob, status: str, of_the_rest: str) -> None:
        """`of_the_rest`: what becomes of the devices that have not had their turn."""
        job.status, job.end_s = status, self._clock()
        rest = [each for each in job.parts.values() if each.status not in values.ENDED]
        for part in rest:
            part.status, part.end_s = of_the_rest, job.end_s
        self._store.write([_job_change(job), *map(_part_change, rest)])

    def _find(self, job_id: str) -> ScheduledJob:
        job = self._jobs.get(job_id)
        if job is None:
            raise errors.job_not_found(job_id)
        return job

    def _forget_oldest(self) -> None:
        """Make room for one more."""
        ended = [each for each in self._jobs.values() if each.status in values.ENDED]
        ended.sort(key=lambda each: each.created_s, reverse=True)
        count = 0
        for number, job in enumerate(ended, start=2):
            count += len(job.parts)
            if number <= KEPT and count <= KEPT_PARTS:
                continue
            changes: Changes = [Change(_KIND, job.job_id, None)]
            changes += [Change(_PART, _part_key(each), None) for each in job.parts.values()]
            self._store.write(changes)
            del self._jobs[job.job_id]


def _job_change(job: ScheduledJob) -> Change:
    return Change(_KIND, job.job_id, values.job_document(job))


def _part_change(part: DeviceJob) -> Change:
    return Change(_PART, _part_key(part), values.part_document(part))


def _part_key(part: DeviceJob) -> str:
    return f"{part.job_id}/{part.device_id}"


def _seconds(value: Json, default: int) -> int:
    return default if value is None else int(str(value))
