"""A scheduled job as a value: what a client may ask for, and what it is told of it.

Source: Azure IoT Hub developer guide, "Schedule jobs on multiple devices"; REST "JobRequest",
"JobResponse"; of a device's part the properties that the same guide prints.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from host_tools.hub.query.language import QueryError, parse_condition
from host_tools.hub.state.documents import Json, JsonObject, iso_time, parse_iso_time
from host_tools.hub.state.errors import argument_invalid
from host_tools.hub.state.twin_document import parse_service_patch

UPDATE_TWIN, CALL_METHOD = "scheduleUpdateTwin", "scheduleDeviceMethod"
TYPES = (UPDATE_TWIN, CALL_METHOD)

SCHEDULED, QUEUED, RUNNING = "scheduled", "queued", "running"
COMPLETED, FAILED, CANCELLED = "completed", "failed", "cancelled"
ENDED = (COMPLETED, FAILED, CANCELLED)
PENDING = "pending"  # of a device's part, before it is its turn

DEFAULT_EXECUTION_S = 3600
MAX_EXECUTION_S = 30 * 24 * 3600
_ID = re.compile(r"[A-Za-z0-9\-:.+%_#*?!(),=@;$']{1,128}")


@dataclass
class DeviceJob:
    """One device's part in a job. `outcome` is a method's answer, `error` why it failed."""

    job_id: str
    device_id: str
    status: str = PENDING
    start_s: float | None = None
    end_s: float | None = None
    outcome: JsonObject | None = None
    error: JsonObject | None = None

    def view(self, job: ScheduledJob) -> JsonObject:
        """A row of `devices.jobs`."""
        row: JsonObject = {
            "deviceId": self.device_id,
            "jobId": self.job_id,
            "jobType": job.type,
            "status": self.status,
            "createdDateTimeUtc": iso_time(job.created_s),
            "startTimeUtc": iso_time(self.start_s),
            "endTimeUtc": iso_time(self.end_s),
            "lastUpdatedDateTimeUtc": iso_time(self.end_s or self.start_s or job.created_s),
        }
        if self.outcome is not None:
            row["outcome"] = {"deviceMethodResponse": self.outcome}
        return {**row, "error": self.error} if self.error is not None else row


@dataclass
class ScheduledJob:
    """`method` or `twin` is what is to be done; `parts` are the devices that it is for, known
    once it runs."""

    job_id: str
    type: str
    condition: str
    method: JsonObject | None
    twin: JsonObject | None
    created_s: float
    start_s: float
    max_execution_s: int
    status: str
    end_s: float | None = None
    failure_reason: str | None = None
    parts: dict[str, DeviceJob] = field(default_factory=dict)

    def view(self) -> JsonObject:
        """What clients are told."""
        found: JsonObject = {
            "jobId": self.job_id,
            "type": self.type,
            "queryCondition": self.condition,
            "createdTime": iso_time(self.created_s),
            "startTime": iso_time(self.start_s),
            "maxExecutionTimeInSeconds": self.max_execution_s,
            "status": self.status,
            "deviceJobStatistics": self.statistics(),
        }
        optional: JsonObject = {
            "cloudToDeviceMethod": self.method,
            "updateTwin": self.twin,
            "endTime": None if self.end_s is None else iso_time(self.end_s),
            "failureReason": self.failure_reason,
        }
        return {**found, **{name: value for name, value in optional.items() if value is not None}}

    def statistics(self) -> JsonObject:
        statuses = [each.status for each in self.parts.values()]
        return {
            "deviceCount": len(statuses),
            "succeededCount": statuses.count(COMPLETED),
            "failedCount": statuses.count(FAILED),
            "runningCount": statuses.count(RUNNING),
            "pendingCount": statuses.count(PENDING),
        }


def parse_job(job_id: str, request: JsonObject, now: float) -> ScheduledJob:
    """Raises: HubError 400004."""
    if not _ID.fullmatch(job_id) or request.get("jobId", job_id) != job_id:
        raise argument_invalid("jobId is no id, or differs from the one in the path.")
    kind = request.get("type")
    if kind not in TYPES:
        raise argument_invalid(f"type is not one of {', '.join(TYPES)}.")
    start_s = _parse_start(request.get("startTime"), now)
    return ScheduledJob(
        job_id=job_id,
        type=str(kind),
        condition=_parse_condition(request.get("queryCondition")),
        method=_parse_method(request) if kind == CALL_METHOD else None,
        twin=_parse_twin(request) if kind == UPDATE_TWIN else None,
        created_s=now,
        start_s=start_s,
        max_execution_s=_parse_execution(request.get("maxExecutionTimeInSeconds")),
        status=SCHEDULED if start_s > now else QUEUED,
    )


def _parse_start(value: Json, now: float) -> float:
    """What lies in the past is now."""
    if value is None:
        return now
    try:
        return max(now, parse_iso_time(value))
    except ValueError:
        raise argument_invalid("startTime is not a time in ISO 8601.") from None


def _parse_execution(value: Json) -> int:
    if value is None or value == 0:
        return DEFAULT_EXECUTION_S
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= MAX_EXECUTION_S:
        raise argument_invalid(f"maxExecutionTimeInSeconds is not in 1 to {MAX_EXECUTION_S}.")
    return value


def _parse_condition(value: Json) -> str:
    if not isinstance(value, str) or not value.strip():
        raise argument_invalid("queryCondition is missing; `*` is every device.")
    try:
        parse_condition(value)
    except QueryError as error:
        raise argument_invalid(f"queryCondition: {error}") from None
    return value


def _parse_method(request: JsonObject) -> JsonObject:
    method = request.get("cloudToDeviceMethod")
    if not isinstance(method, dict) or not isinstance(method.get("methodName"), str):
        raise argument_invalid("cloudToDeviceMethod has no methodName.")
    for name in ("responseTimeoutInSeconds", "connectTimeoutInSeconds"):
        value = method.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | None):
            raise argument_invalid(f"{name} is not a whole number of seconds.")
    return method


def _parse_twin(request: JsonObject) -> JsonObject:
    twin = request.get("updateTwin")
    tags, desired = parse_service_patch(twin)
    if not tags and not desired:
        raise argument_invalid("updateTwin has neither tags nor desired properties.")
    assert isinstance(twin, dict)
    return {name: value for name, value in twin.items() if value is not None}


def job_document(job: ScheduledJob) -> JsonObject:
    """All but the parts, which are stored one by one."""
    return {name: value for name, value in vars(job).items() if name != "parts"}


def job_from_document(document: Json) -> ScheduledJob:
    assert isinstance(document, dict)
    return ScheduledJob(**document)  # type: ignore[arg-type]


def part_document(part: DeviceJob) -> JsonObject:
    return dict(vars(part))


def part_from_document(document: Json) -> DeviceJob:
    assert isinstance(document, dict)
    return DeviceJob(**document)  # type: ignore[arg-type]
