"""Imports and exports: the whole registry, line by line, from and to a container of blobs.

One at a time. A line is an identity with its twin, as bulk operations have it; an import does what
each line's `importMode` says, goes on after lines that fail, and tells of those in a blob of its
own.
Source: Azure IoT Hub, "Import and export IoT Hub device identities in bulk"; REST "JobProperties".
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TypeVar

from host_tools.hub.state import errors
from host_tools.hub.state.bulk import Bulk
from host_tools.hub.state.configurations import Configurations
from host_tools.hub.state.containers import ContainerError, Containers, NoContainers
from host_tools.hub.state.documents import JsonObject, iso_time, parse_json
from host_tools.hub.state.errors import HubError, argument_invalid
from host_tools.hub.state.registry import Registry
from host_tools.hub.state.scheduled_job import CANCELLED, COMPLETED, ENDED, FAILED, RUNNING
from host_tools.hub.state.store import Change, Store
from host_tools.hub.state.tasks import Tasks
from host_tools.hub.state.transfer_order import EXPORT, Order, parse_order
from host_tools.hub.state.twins import Twins

ERRORS_BLOB = "importErrors.log"
KEPT = 20
_LINES_A_TURN = 50
_KIND = "transfer"

_LOG = logging.getLogger(__name__)

_Item = TypeVar("_Item", str, bytes)


class Transfers:
    """`containers` is set by who runs the hub."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        registry: Registry,
        twins: Twins,
        bulk: Bulk,
        configurations: Configurations,
    ) -> None:
        self.containers: Containers = NoContainers()
        self._store = store
        self._clock = clock
        self._registry = registry
        self._twins = twins
        self._bulk = bulk
        self._configurations = configurations
        self._tasks = Tasks()
        self._jobs: dict[str, JsonObject] = {}
        for key, document in store.load(_KIND):
            assert isinstance(document, dict)
            self._jobs[key] = document
            if document["status"] == RUNNING:
                self._end(document, FAILED, "The hub was stopped meanwhile.")

    def create(self, request: JsonObject) -> JsonObject:
        """Begin an import or export. Call it in an event loop.
        Raises: HubError 400004, 403003 (one runs already)."""
        order = parse_order(request)
        if any(each["status"] == RUNNING for each in self._jobs.values()):
            raise errors.job_quota_exceeded("An import or export runs already.")
        job = self._fresh_job(order)
        self._keep(job)
        self._jobs[str(job["jobId"])] = job
        self._tasks.start(str(job["jobId"]), self._run(job, order))
        return dict(job)

    def get(self, job_id: str) -> JsonObject:
        """Raises: HubError 404002."""
        return dict(self._find(job_id))

    def all(self) -> list[JsonObject]:
        """The youngest first."""
        return [dict(each) for each in reversed(self._jobs.values())]

    def cancel(self, job_id: str) -> None:
        """What has been imported stays. Raises: HubError 404002, 412003."""
        job = self._find(job_id)
        if job["status"] in ENDED:
            raise errors.job_has_ended(job_id, str(job["status"]))
        self._tasks.cancel(job_id)
        self._end(job, CANCELLED)

    async def stop(self) -> None:
        await self._tasks.stop()

    async def _run(self, job: JsonObject, order: Order) -> None:
        try:
            if order.kind == EXPORT:
                await self._export(job, order)
            else:
                await self._import(job, order)
        except ContainerError as error:
            self._end(job, FAILED, str(error))
        except Exception:  # noqa: BLE001 - it is logged, under a name that ruff does not know
            # A fault of ours costs this job, not all that come after it
            _LOG.exception("%s has failed", job["jobId"])
            self._end(job, FAILED, "A fault of the hub itself; its log tells which.")
        else:
            self._end(job, COMPLETED)

    async def _export(self, job: JsonObject, order: Order) -> None:
        keys = (*self._registry.device_ids(), *self._registry.module_keys())
        lines = []
        async for key in self._in_turns(job, sorted(keys)):
            if self._registry.exists(key):
                lines.append(_line(self._entry(key, order.excludes_keys)))
        await self.containers.write(order.target, order.target_name, b"".join(lines))
        if order.configurations_name is not None:
            found = b"".join(map(_line, self._configurations.first()))
            await self.containers.write(order.target, order.configurations_name, found)

    async def _import(self, job: JsonObject, order: Order) -> None:
        data = await self.containers.read(order.source, order.source_name)
        refused: list[JsonObject] = []
        async for line in self._in_turns(job, data.splitlines()):
            refused += self._take(line)
        if order.configurations_name is not None:
            data = await self.containers.read(order.source, order.configurations_name)
            for line in data.splitlines():
                refused += self._take_configuration(line)
        if refused:
            lines = b"".join(map(_line, refused))
            await self.containers.write(order.target, ERRORS_BLOB, lines)

    async def _in_turns(self, job: JsonObject, items: Sequence[_Item]) -> AsyncIterator[_Item]:
        """One after the other, with a turn for everybody else now and then."""
        for number, item in enumerate(items):
            yield item
            job["progress"] = 100 * (number + 1) // len(items)
            if not number % _LINES_A_TURN:
                await asyncio.sleep(0)

    def _take(self, line: bytes) -> list[JsonObject]:
        """Returns: what is told of a line that fails."""
        if not line.strip():
            return []
        try:
            return self._bulk.take(parse_json(line), default_mode="createOrUpdate")
        except ValueError as error:
            return [_refusal(argument_invalid(f"A line is not JSON: {error}"))]

    def _take_configuration(self, line: bytes) -> list[JsonObject]:
        try:
            document = parse_json(line)
            if not isinstance(document, dict):
                raise argument_invalid("A line is no configuration.")
            self._configurations.create(str(document.get("id")), document)
        except ValueError as error:
            return [_refusal(argument_invalid(f"A line is not JSON: {error}"))]
        except HubError as error:
            return [_refusal(error)]
        return []

    def _entry(self, key: str, excludes_keys: bool) -> JsonObject:
        identity, twin = self._registry.describe(key), self._twins.get(key)
        authentication = identity["authentication"]
        assert isinstance(authentication, dict)
        if excludes_keys:
            nothing: JsonObject = {"primaryKey": None, "secondaryKey": None}
            authentication = {**authentication, "symmetricKey": nothing}
        entry: JsonObject = {
            "id": identity["deviceId"],
            "eTag": identity["etag"],
            "authentication": authentication,
            "twinETag": twin["etag"],
            "tags": twin["tags"],
            "properties": twin["properties"],
        }
        if identity["moduleId"]:
            return {**entry, **{name: identity[name] for name in ("moduleId", "managedBy")}}
        names = ("status", "statusReason", "capabilities", "deviceScope", "parentScopes")
        return {**entry, **{name: identity[name] for name in names}}

    def _fresh_job(self, order: Order) -> JsonObject:
        for old in list(self._jobs)[: max(0, len(self._jobs) + 1 - KEPT)]:
            self._store.write([Change(_KIND, old, None)])
            del self._jobs[old]
        return {
            "jobId": f"{int(self._clock() * 1000):012x}{uuid.uuid4().hex[:20]}",
            **order.view(),
            "status": RUNNING,
            "progress": 0,
            "startTimeUtc": iso_time(self._clock()),
        }

    def _find(self, job_id: str) -> JsonObject:
        job = self._jobs.get(job_id)
        if job is None:
            raise errors.job_not_found(job_id)
        return job

    def _end(self, job: JsonObject, status: str, reason: str | None = None) -> None:
        job |= {"status": status, "endTimeUtc": iso_time(self._clock()), "failureReason": reason}
        if status == COMPLETED:
            job["progress"] = 100
        self._keep(job)

    def _keep(self, job: JsonObject) -> None:
        self._store.write([Change(_KIND, str(job["jobId"]), dict(job))])


def _refusal(error: HubError) -> JsonObject:
    return {"errorCode": error.name, "errorStatus": error.message}


def _line(document: JsonObject) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
