"""`thermo hub exec` as a user runs it: unmodified Azure scripts, side by side, and Ctrl-C."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXEC = [sys.executable, "-m", "host_tools.cli", "hub", "exec"]

# Nothing in it but calls of the Azure SDKs.
SCRIPT = """
import asyncio
import os
import threading

from azure.iot.device import IoTHubDeviceClient, MethodResponse
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import CloudToDeviceMethod, Twin, TwinProperties

device = IoTHubDeviceClient.create_from_connection_string(
    os.environ["IOTHUB_DEVICE_CONNECTION_STRING"],
    product_info="dtmi:com:example:Thermostat;1",
)
messages, patches = [], []
came, patched = threading.Event(), threading.Event()

def on_message(message):
    messages.append(message)
    came.set()

def on_patch(patch):
    patches.append(patch)
    device.patch_twin_reported_properties({"targetTemperature": patch["targetTemperature"]})
    patched.set()

def on_method(request):
    device.send_method_response(
        MethodResponse.create_from_method_request(request, 200, {"since": request.payload})
    )

device.on_message_received = on_message
device.on_twin_desired_properties_patch_received = on_patch
device.on_method_request_received = on_method
device.connect()
device.get_twin()

registry = IoTHubRegistryManager(os.environ["IOTHUB_CONNECTION_STRING"])
device_id = os.environ["IOTHUB_DEVICE_ID"]
twin = registry.get_twin(device_id)
assert twin.connection_state == "Connected"
assert twin.additional_properties["modelId"] == "dtmi:com:example:Thermostat;1"

twin = registry.update_twin(
    device_id, Twin(properties=TwinProperties(desired={"targetTemperature": 42})), twin.etag
)
assert patched.wait(10) and patches[0]["targetTemperature"] == 42
answer = registry.invoke_device_method(
    device_id, CloudToDeviceMethod(method_name="getMaxMinReport", payload="then")
)
assert (answer.status, answer.payload) == (200, {"since": "then"})
assert registry.get_twin(device_id).properties.reported["targetTemperature"] == 42

registry.send_c2d_message(device_id, "open the window", properties={"level": "high"})
assert came.wait(10)
assert messages[0].data == b"open the window"
assert messages[0].custom_properties == {"level": "high"}
device.send_message("telemetry")
device.shutdown()
print(os.environ["IOTHUB_DEVICE_CONNECTION_STRING"].split(";")[0])
del registry  # on Python 3.13 the SDK waits for ever when the interpreter ends first
"""


@pytest.fixture
def place(tmp_path):
    """Where the command works and where temporary folders go; nothing may be left there."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT))
    yield tmp_path
    assert list((tmp_path / "tmp").iterdir()) == []
    assert {each.name for each in tmp_path.iterdir()} <= {"tmp", "script.py", "ready"}


def start(place, *command, **options):
    environment = {**os.environ, "TMPDIR": str(place / "tmp"), "PYTHONPATH": str(ROOT)}
    environment["REQUESTS_CA_BUNDLE"] = "/nowhere/of/another/machine"
    return subprocess.Popen(
        [*EXEC, "--", *command],
        cwd=place,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def finish(process):
    try:
        output, errors = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, output, errors


def test_an_unmodified_script_works_and_its_exit_code_comes_back(place):
    code, output, errors = finish(start(place, sys.executable, "script.py"))
    assert (code, output[:9]) == (0, "HostName="), errors


def test_two_run_side_by_side(place):
    both = [start(place, sys.executable, "script.py") for _ in range(2)]
    ends = [finish(process) for process in both]
    assert [code for code, _, _ in ends] == [0, 0], ends
    assert len({output for _, output, _ in ends}) == 2


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        (["sh", "-c", "exit 9"], 9, ""),
        (["no-such-command"], 127, "thermo: no-such-command: command not found; check"),
    ],
)
def test_exit_codes(place, command, code, text):
    found, _, errors = finish(start(place, *command))
    assert (found, errors[: len(text)]) == (code, text)
    assert errors.count("\n") == (1 if text else 0)


WAIT = "import pathlib, time; pathlib.Path('ready').touch(); time.sleep(60)"


def processes_of(session):
    """Ids of the processes of that session."""
    listing = subprocess.run(["ps", "-eo", "pid=,sid=,stat="], capture_output=True, text=True)
    rows = [line.split() for line in listing.stdout.splitlines()]
    return [row[0] for row in rows if row[1] == str(session) and not row[2].startswith("Z")]


@pytest.mark.parametrize(
    ("number", "to_all", "codes"),
    [
        (signal.SIGINT, False, {130, 1}),  # Python may tell KeyboardInterrupt by 1
        (signal.SIGINT, True, {130, 1}),
        (signal.SIGTERM, False, {143}),
    ],
    ids=["interrupt", "interrupt of the group", "terminate"],
)
def test_signals_reach_the_command_and_nothing_is_left(place, number, to_all, codes):
    process = start(place, sys.executable, "-c", WAIT)
    end = time.monotonic() + 20
    while not (place / "ready").exists():
        assert time.monotonic() < end
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    begin = time.monotonic()
    if to_all:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    code, _, errors = finish(process)
    assert code in codes, errors
    assert time.monotonic() - begin < 5
    assert processes_of(process.pid) == []


def test_a_signal_during_the_start_leaves_nothing(place):
    for delay_s in (0.3, 0.5, 0.7):
        process = start(place, "sleep", "60")
        time.sleep(delay_s)
        process.send_signal(signal.SIGTERM)
        code, _, errors = finish(process)
        assert code in (143, -signal.SIGTERM), errors
        assert "Traceback" not in errors
        assert processes_of(process.pid) == []
