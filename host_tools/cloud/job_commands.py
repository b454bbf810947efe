"""`thermo jobs …`: one change, or one command, for many devices."""

from __future__ import annotations

import datetime
import time
import uuid
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn

from host_tools.cloud.connection import HubOption, JsonOption, WorkspaceOption, find, sdk, told
from host_tools.cloud.output import print_json, print_table, remarks
from host_tools.cloud.patches import build_patch, parse_value
from host_tools.cloud.twin_commands import WordsArgument
from host_tools.hub.certificates import DEFAULT_WORKSPACE
from host_tools.service import ServiceError

_LOOK_S = 0.5
_MOST_TIME_S = 3600
_OVER = ("completed", "failed", "cancelled")

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")
ConditionOption = Annotated[
    str, typer.Option("--where", metavar="CONDITION", help="Of which devices, as in a query.")
]
IdOption = Annotated[
    str | None, typer.Option("--id", metavar="ID", help="Of the job; without it a fresh one.")
]
WaitOption = Annotated[
    float, typer.Option("--wait", min=0, help="Seconds to wait for its end; 0: do not wait.")
]
JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="Its id.")]


@app.callback()
def jobs() -> None:
    """Scheduled jobs: a twin update or a command for all devices of a condition.

    [bold]Examples[/bold]

      thermo jobs set thermostat1.targetTemperature=19 --where "tags.floor = 1"
      thermo jobs call reboot 3 --where "tags.floor = 1" --wait 60
      thermo jobs list
    """


@app.command("set")
def set_desired(
    words: WordsArgument,
    where: ConditionOption,
    job_id: IdOption = None,
    wait: WaitOption = 0,
    hub: HubOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> int:
    """Set desired properties of many devices. A first word of `tags.` sets tags.

    [bold]Example[/bold]

      thermo jobs set thermostat1.targetTemperature=19 --where "tags.floor = 1" --wait 60
    """
    models = sdk("azure.iot.hub.models")
    patch = build_patch(words)
    tags = patch.pop("tags", None)
    properties = models.TwinProperties(desired=patch) if patch else None
    twin = models.Twin(tags=tags, properties=properties, etag="*")
    order = {"type": "scheduleUpdateTwin", "update_twin": twin}
    return _run(order, where, job_id, wait, hub, workspace, as_json)


@app.command()
def call(
    name: Annotated[str, typer.Argument(metavar="[COMPONENT*]COMMAND")],
    where: ConditionOption,
    payload: Annotated[str | None, typer.Argument(metavar="[PAYLOAD]")] = None,
    timeout: Annotated[int, typer.Option(min=5, max=300, help="Seconds for each device.")] = 30,
    job_id: IdOption = None,
    wait: WaitOption = 0,
    hub: HubOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> int:
    """Call a command of many devices.

    [bold]Example[/bold]

      thermo jobs call reboot 3 --where "tags.floor = 1" --wait 60
    """
    method = sdk("azure.iot.hub.models").CloudToDeviceMethod(
        method_name=name,
        payload=None if payload is None else parse_value(payload),
        response_timeout_in_seconds=timeout,
        connect_timeout_in_seconds=0,
    )
    order = {"type": "scheduleDeviceMethod", "cloud_to_device_method": method}
    return _run(order, where, job_id, wait, hub, workspace, as_json)


@app.command("list")
def list_jobs(
    hub: HubOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """List the jobs that the hub remembers.

    [bold]Example[/bold]

      thermo jobs list
    """
    connection = find(hub, workspace)
    with told(connection.host):
        found = connection.jobs().query_scheduled_jobs(None, None)
    documents = [_of_query(each) for each in found.items or ()]
    if as_json:
        print_json(documents)
        return
    names = ("jobId", "type", "status", "devices", "succeeded", "failed", "running")
    print_table(names, [[each[name] for name in names] for each in documents])


@app.command()
def show(
    job_id: JobArgument,
    hub: HubOption = None,
    workspace: WorkspaceOption = DEFAULT_WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Show one job, with its counts.

    [bold]Example[/bold]

      thermo jobs show 6a1c…
    """
    connection = find(hub, workspace)
    with told(connection.host):
        found = _document(connection.jobs().get_scheduled_job(job_id))
    if as_json:
        print_json(found)
    else:
        print_table(("", ""), [[name, value] for name, value in found.items()])


@app.command()
def cancel(
    job_id: JobArgument, hub: HubOption = None, workspace: WorkspaceOption = DEFAULT_WORKSPACE
) -> None:
    """Cancel a job; what it has done stays done.

    [bold]Example[/bold]

      thermo jobs cancel 6a1c…
    """
    connection = find(hub, workspace)
    with told(connection.host):
        connection.jobs().cancel_scheduled_job(job_id)
    remarks().print(f"job {job_id} is cancelled", markup=False)


def _run(
    order: dict[str, Any],
    where: str,
    job_id: str | None,
    wait: float,
    hub: str | None,
    workspace: Any,
    as_json: bool,
) -> int:
    connection, name = find(hub, workspace), job_id or uuid.uuid4().hex
    request = sdk("azure.iot.hub.models").JobRequest(
        job_id=name,
        query_condition=where,
        start_time=datetime.datetime.now(datetime.timezone.utc),
        max_execution_time_in_seconds=_MOST_TIME_S,
        **order,
    )
    with told(connection.host):
        manager = connection.jobs()
        manager.create_scheduled_job(name, request)
        remarks().print(f"job {name} is on its way", markup=False)
        found = _document(manager.get_scheduled_job(name))
        if wait:
            found = _wait(manager, name, wait)
    if as_json:
        print_json(found)
    elif wait:
        print_table(("", ""), [[key, value] for key, value in found.items()])
    if wait and found["status"] not in _OVER:
        raise ServiceError(
            f"job {name} has not ended in {wait:g} s; see how it fares: thermo jobs show {name}"
        )
    return 0 if not wait or (found["status"] == "completed" and not found["failed"]) else 3


def _wait(manager: Any, name: str, wait_s: float) -> dict[str, Any]:
    """The job when it has ended, or as it is after so long; with a bar on a terminal."""
    end, console = time.monotonic() + wait_s, remarks()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:g}"))
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("devices done", total=None)
        while True:
            found = _document(manager.get_scheduled_job(name))
            bar.update(
                task, total=found["devices"], completed=found["succeeded"] + found["failed"]
            )
            if found["status"] in _OVER or time.monotonic() > end:
                return found
            time.sleep(_LOOK_S)


def _of_query(found: dict[str, Any]) -> dict[str, Any]:
    """The SDK leaves a query's items as the hub has written them."""
    counts = found.get("deviceJobStatistics") or {}
    numbers = {name: counts.get(f"{name}Count", 0) for name in ("succeeded", "failed", "running")}
    names = ("jobId", "type", "status")
    return {
        **{name: found.get(name) for name in names},
        "devices": counts.get("deviceCount", 0),
        **numbers,
    }


def _document(found: Any) -> dict[str, Any]:
    counts = found.device_job_statistics
    return {
        "jobId": found.job_id,
        "type": found.type,
        "status": found.status,
        "devices": (counts and counts.device_count) or 0,
        "succeeded": (counts and counts.succeeded_count) or 0,
        "failed": (counts and counts.failed_count) or 0,
        "running": (counts and counts.running_count) or 0,
        "startTime": str(found.start_time or ""),
        "endTime": str(found.end_time or ""),
        "failureReason": found.failure_reason,
    }
