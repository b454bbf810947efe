"""Jobs, by Microsoft's unmodified IoTHubJobManager; a device of azure-iot-device answers."""

import asyncio
import os
import textwrap

import pytest
from sdk_process import run_sdk_script

from host_tools.hub.client_environment import connection_variables
from host_tools.hub.launcher import serving
from host_tools.hub.trust import trust_environment

HEAD = """
import datetime, json, os, time
from azure.iot.device import IoTHubDeviceClient, MethodResponse
from azure.iot.hub import IoTHubJobManager, IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, QuerySpecification, Twin, TwinProperties
from azure.iot.hub.protocol.models import JobProperties, JobRequest
from msrest.exceptions import HttpOperationError

text = os.environ["IOTHUB_CONNECTION_STRING"]
registry = IoTHubRegistryManager(text)
manager = IoTHubJobManager.from_connection_string(text)

def refused(status, code, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except HttpOperationError as error:
        assert error.response.status_code == status, error
        assert error.response.headers["iothub-errorcode"] == code, error.response.headers
    else:
        raise AssertionError("not refused")

def wait(read, *statuses):
    end = time.monotonic() + 30
    while (job := read()).status not in statuses:
        assert time.monotonic() < end, job
        time.sleep(0.05)
    return job

def ended(name):
    return wait(lambda: manager.get_scheduled_job(name), "completed", "failed", "cancelled")

def update(name, condition="*", **options):
    return manager.create_scheduled_job(name, JobRequest(
        job_id=name, type="scheduleUpdateTwin", query_condition=condition,
        update_twin=Twin(etag="*", tags={"by": name}), **options))

def rows(text):
    found = registry.query_iot_hub(QuerySpecification(query=text)).items
    return [(each.device_id, each.status, each.additional_properties) for each in found]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("jobs")


def run_script(folder, script):
    async def run():
        place = folder / str(len(list(folder.iterdir())))
        place.mkdir()
        async with serving(folder / "hub", None) as server:
            for device_id in ("dev1", "dev2", "dev3"):
                server.ensure_device(device_id)
            environment = {
                **os.environ,
                **connection_variables(server, "dev1", "dev1", os.environ),
                **trust_environment(place, server.certificates.ca_pem, os.environ),
                "FOLDER": place.as_uri(),
            }
            await run_sdk_script(HEAD + textwrap.dedent(script), environment)

    asyncio.run(run())


def test_twins(folder):
    run_script(
        folder,
        """
        made = update("j1", "deviceId != 'dev3'", max_execution_time_in_seconds=60)
        assert (made.job_id, made.type) == ("j1", "scheduleUpdateTwin")
        assert made.max_execution_time_in_seconds == 60
        done = ended("j1")
        assert done.status == "completed" and done.failure_reason is None
        counted = done.device_job_statistics
        assert (counted.device_count, counted.succeeded_count, counted.failed_count) == (2, 2, 0)
        assert done.end_time >= done.start_time >= done.created_time
        assert registry.get_twin("dev1").tags == {"by": "j1"}
        assert registry.get_twin("dev3").tags == {}
        refused(409, "JobAlreadyExists", update, "j1")
        refused(400, "ArgumentInvalid", update, "j2", "tags.x =")
        refused(404, "JobNotFound", manager.get_scheduled_job, "j9")
        refused(404, "JobNotFound", manager.cancel_scheduled_job, "j9")
        refused(412, "JobRunPreconditionFailed", manager.cancel_scheduled_job, "j1")
        (name, status, more), = rows(
            "SELECT * FROM devices.jobs WHERE devices.jobs.deviceId = 'dev2'")
        assert (name, status) == ("dev2", "completed")
        assert (more["jobId"], more["jobType"]) == ("j1", "scheduleUpdateTwin")
        assert len(rows("SELECT * FROM devices.jobs WHERE jobId = 'j1'")) == 2
        assert rows("SELECT * FROM devices.jobs WHERE devices.jobs.status = 'failed'") == []
        """,
    )


def test_later_and_never(folder):
    run_script(
        folder,
        """
        now = datetime.datetime.now(datetime.timezone.utc)
        soon = update("soon", start_time=now + datetime.timedelta(seconds=2))
        assert soon.status == "scheduled", soon.status
        update("never", start_time=now + datetime.timedelta(hours=1))
        waiting = manager.query_scheduled_jobs("scheduleUpdateTwin", "scheduled")
        assert {each["jobId"] for each in waiting.items} == {"soon", "never"}
        cancelled = manager.cancel_scheduled_job("never")
        assert cancelled.status == "cancelled"
        assert registry.get_twin("dev1").tags == {}
        assert ended("soon").device_job_statistics.succeeded_count == 3
        assert registry.get_twin("dev1").tags == {"by": "soon"}
        done = manager.query_scheduled_jobs(None, "completed")
        assert [each["jobId"] for each in done.items] == ["soon"]
        assert len(manager.query_scheduled_jobs(None, None).items) == 2
        """,
    )


def test_methods(folder):
    run_script(
        folder,
        """
        client = IoTHubDeviceClient.create_from_connection_string(
            os.environ["IOTHUB_DEVICE_CONNECTION_STRING"])
        client.on_method_request_received = lambda request: client.send_method_response(
            MethodResponse.create_from_method_request(request, 200, {"got": request.payload}))
        client.connect()
        manager.create_scheduled_job("m1", JobRequest(
            job_id="m1", type="scheduleDeviceMethod",
            query_condition="deviceId IN ['dev1', 'dev2']",
            cloud_to_device_method=CloudToDeviceMethod(
                method_name="blink", payload={"n": 1}, response_timeout_in_seconds=20)))
        done = ended("m1")
        counted = done.device_job_statistics
        assert (counted.device_count, counted.succeeded_count, counted.failed_count) == (2, 1, 1)
        found = {name: more for name, _, more in rows("SELECT * FROM devices.jobs")}
        answer = found["dev1"]["outcome"]["deviceMethodResponse"]
        assert answer == {"status": 200, "payload": {"got": {"n": 1}}}
        assert found["dev2"]["error"]["code"] == "404103"
        client.shutdown()
        """,
    )


def test_export_and_import(folder):
    run_script(
        folder,
        """
        import pathlib, urllib.parse
        uri = os.environ["FOLDER"]
        place = pathlib.Path(urllib.parse.urlsplit(uri).path)
        made = manager.create_import_export_job(
            JobProperties(type="export", output_blob_container_uri=uri))
        read = lambda: manager.get_import_export_job(made.job_id)
        done = wait(read, "completed", "failed")
        assert (done.status, done.progress) == ("completed", 100), done.failure_reason
        lines = (place / "devices.txt").read_text().splitlines()
        assert [json.loads(line)["id"] for line in lines] == ["dev1", "dev2", "dev3"]

        entry = {**json.loads(lines[0]), "id": "dev4", "tags": {"a": 1}, "importMode": "create"}
        (place / "devices.txt").write_text(json.dumps(entry) + "\\n" + lines[1] + "\\nnonsense")
        made = manager.create_import_export_job(JobProperties(
            type="import", input_blob_container_uri=uri, output_blob_container_uri=uri))
        assert wait(read, "completed", "failed").status == "completed"
        assert registry.get_twin("dev4").tags == {"a": 1}
        told = (place / "importErrors.log").read_text().splitlines()
        assert [json.loads(line)["errorCode"] for line in told] == ["ArgumentInvalid"]

        made = manager.create_import_export_job(JobProperties(
            type="export", output_blob_container_uri="https://a.blob.core.windows.net/c?sig=s"))
        failed = wait(read, "completed", "failed")
        assert "on this machine only" in failed.failure_reason
        assert failed.output_blob_container_uri == "https://a.blob.core.windows.net/c"
        assert len(manager.get_import_export_jobs()) == 3
        refused(412, "JobRunPreconditionFailed", manager.cancel_import_export_job, made.job_id)
        refused(404, "JobNotFound", manager.get_import_export_job, "nothing")
        refused(404, "JobNotFound", manager.cancel_import_export_job, "nothing")
        refused(400, "ArgumentInvalid", manager.create_import_export_job,
                JobProperties(type="backup"))
        """,
    )
