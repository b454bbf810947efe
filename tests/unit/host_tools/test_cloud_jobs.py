"""`thermo jobs`: what is ordered, how its end is waited for, and the exit code."""

import json

import pytest
from doubles.service_clients import HOST, SERVICE, VARIABLES, Client, refusal, thing

from host_tools import cli
from host_tools.cloud import job_commands

WHERE = ("--where", "tags.floor = 1")


@pytest.fixture
def jobs(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IOTHUB_CONNECTION_STRING", SERVICE)
    monkeypatch.setattr(job_commands, "_LOOK_S", 0)
    found = Client(get_scheduled_job=job("queued"))
    monkeypatch.setattr("azure.iot.hub.IoTHubJobManager.from_connection_string", lambda _: found)
    return found


def job(status, failed=0, counts=True):
    numbers = thing(
        device_count=2, succeeded_count=2 - failed, failed_count=failed, running_count=0
    )
    return thing(
        job_id="j1",
        type="scheduleUpdateTwin",
        status=status,
        device_job_statistics=numbers if counts else None,
        start_time=None,
        end_time=None,
        failure_reason=None,
    )


def run(capsys, *arguments):
    code = cli.main(["jobs", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_what_is_ordered(capsys, jobs):
    words = ("a.b=1", "tags.floor=2")
    assert run(capsys, "set", *words, *WHERE, "--id", "j1") == (0, "", "job j1 is on its way\n")
    ((name, request),) = jobs.asked("create_scheduled_job")
    assert (name, request.job_id, request.query_condition) == ("j1", "j1", "tags.floor = 1")
    assert request.type == "scheduleUpdateTwin"
    twin = request.update_twin
    assert (twin.tags, twin.properties.desired, twin.etag) == ({"floor": 2}, {"a": {"b": 1}}, "*")


def test_tags_alone_leave_the_desired_section_alone(capsys, jobs):
    assert run(capsys, "set", "tags.floor=2", *WHERE)[0] == 0
    assert jobs.asked("create_scheduled_job")[0][1].update_twin.properties is None


def test_a_command_of_many(capsys, jobs):
    assert run(capsys, "call", "reboot", "3", *WHERE, "--timeout", "5")[0] == 0
    assert run(capsys, "call", "reboot", *WHERE)[0] == 0
    first, second = (request for _, request in jobs.asked("create_scheduled_job"))
    method = first.cloud_to_device_method
    assert (method.method_name, method.payload) == ("reboot", 3)
    assert method.response_timeout_in_seconds == 5
    assert second.cloud_to_device_method.payload is None
    assert first.job_id != second.job_id


@pytest.mark.parametrize(
    ("last", "code"),
    [
        (job("completed"), 0),
        (job("completed", failed=1), 3),
        (job("failed"), 3),
        (job("cancelled", counts=False), 3),
    ],
)
def test_the_end_is_waited_for(capsys, jobs, last, code):
    jobs.answers["get_scheduled_job"] = [job("queued"), job("running", counts=False), last]
    got, out, err = run(capsys, "set", "a=1", *WHERE, "--id", "j1", "--wait", "60")
    assert (got, err) == (code, "job j1 is on its way\n")
    assert ["status", last.status] in [line.split() for line in out.splitlines()]
    got, out, _ = run(capsys, "set", "a=1", *WHERE, "--wait", "60", "--json")
    assert (got, json.loads(out)["status"]) == (code, last.status)


def test_a_job_that_does_not_end(capsys, jobs):
    words = ("--id", "j1", "--wait", "0.01", "--json")
    code, out, err = run(capsys, "set", "a=1", *WHERE, *words)
    assert (code, json.loads(out)["status"]) == (1, "queued")
    assert err.endswith(
        "thermo: job j1 has not ended in 0.01 s; see how it fares: thermo jobs show j1\n"
    )


def test_ctrl_c_ends_the_waiting(capsys, jobs):
    jobs.answers["get_scheduled_job"] = [job("queued"), KeyboardInterrupt()]
    code, out, err = run(capsys, "set", "a=1", *WHERE, "--id", "j1", "--wait", "60")
    assert (code, out, err) == (130, "", "job j1 is on its way\n")


def test_a_terminal_sees_how_far_it_is(capsys, jobs, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    jobs.answers["get_scheduled_job"] = job("completed")
    code, _, err = run(capsys, "set", "a=1", *WHERE, "--wait", "60")
    assert code == 0
    assert "devices done" in err


@pytest.mark.parametrize(
    "items",
    [
        [],
        None,
        [
            {
                "jobId": "j1",
                "type": "scheduleDeviceMethod",
                "status": "completed",
                "deviceJobStatistics": {"deviceCount": 3, "succeededCount": 2, "failedCount": 1},
            },
            {"jobId": "j2", "type": "export", "status": "queued"},
        ],
    ],
)
def test_the_list(capsys, jobs, items):
    jobs.answers["query_scheduled_jobs"] = thing(items=items)
    code, out, err = run(capsys, "list")
    rows = [line.split() for line in out.splitlines()]
    assert (code, err, rows[0][0]) == (0, "", "jobId")
    wanted = [
        ["j1", "scheduleDeviceMethod", "completed", "3", "2", "1", "0"],
        ["j2", "export", "queued", "0", "0", "0", "0"],
    ]
    assert rows[1:] == (wanted if items else [])
    code, out, _ = run(capsys, "list", "--json")
    assert [each["jobId"] for each in json.loads(out)] == (["j1", "j2"] if items else [])


def test_one_is_shown_and_cancelled(capsys, jobs):
    jobs.answers["get_scheduled_job"] = job("running", counts=False)
    code, out, _ = run(capsys, "show", "j1")
    assert code == 0
    assert ["status", "running"] in [line.split() for line in out.splitlines()]
    code, out, _ = run(capsys, "show", "j1", "--json")
    assert json.loads(out)["devices"] == 0
    assert run(capsys, "cancel", "j1") == (0, "", "job j1 is cancelled\n")
    assert jobs.asked("cancel_scheduled_job") == [["j1"]]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("create_scheduled_job", ("set", "a=1", *WHERE)),
        ("query_scheduled_jobs", ("list",)),
        ("get_scheduled_job", ("show", "j1")),
        ("cancel_scheduled_job", ("cancel", "j1")),
    ],
)
def test_what_the_hub_refuses_is_a_line(capsys, jobs, name, arguments):
    jobs.answers[name] = refusal(400, '{"Message": "no such thing"}')
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (1, "")
    assert err == (
        f"thermo: {HOST} refused it with 400 (no such thing); check what was asked for\n"
    )


def test_words_that_are_no_patch(capsys, jobs):
    code, _, err = run(capsys, "set", "a", *WHERE)
    assert code == 1
    assert err.startswith("thermo: a is not understood; write PATH=VALUE")
    assert not jobs.calls
