"""`thermo demo`, `hub start` and `hub exec` as users run them: what they show, how they end."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from whole import ROOT, own_address, processes_with

pytestmark = pytest.mark.timeout(60)

THERMO = [sys.executable, "-m", "host_tools.cli"]
KEYS = "telemetry_sent telemetry_acked desired_acked desired_rejected commands_answered"
KEYS += " c2d_completed lost reconnects seconds_to_first_ack"


class Run:
    """A command line in a session of its own; `folder` takes its temporary files."""

    def __init__(self, folder, *arguments, **environment):
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.process = subprocess.Popen(
            [*THERMO, *arguments],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(self.temporary), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def finish(self, seconds=40):
        """(exit code, output, errors); nothing of it may be left."""
        try:
            output, errors = self.process.communicate(timeout=seconds)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
        assert processes_with(str(self.temporary)) == []
        assert list(self.temporary.iterdir()) == []
        assert "Traceback" not in output + errors
        return self.process.returncode, output, errors

    def read_until(self, text):
        """Read the output up to a line with `text`."""
        for line in self.process.stdout:
            if text in line:
                return line
        raise AssertionError(f"it ended without {text}: {self.process.stderr.read()}")


def summary(output):
    word, _, text = output.splitlines()[-1].partition(" ")
    assert word == "summary"
    return json.loads(text)


def test_the_demonstration_shows_what_it_promises(tmp_path):
    code, output, errors = Run(tmp_path, "demo", "--seconds", "12").finish()
    assert (code, errors) == (0, ""), output
    found = summary(output)
    assert sorted(found) == sorted(KEYS.split())
    assert found["lost"] == 0
    assert found["telemetry_acked"] >= 4
    assert found["desired_acked"] >= 2
    assert found["desired_rejected"] >= 1
    assert found["commands_answered"] >= 3
    assert found["c2d_completed"] >= 1
    rooms = re.findall(r"thermostat1 ([\d.]+) °C \(set 23\.50 °C, relay (\w+)\)", output)
    assert rooms[-1][1] == "ON"
    assert float(rooms[-1][0]) > float(rooms[0][0])


@pytest.mark.parametrize("to_all", [False, True], ids=["alone", "group"])
def test_an_interrupted_demonstration_leaves_nothing(tmp_path, to_all):
    run = Run(tmp_path, "demo")
    run.read_until("tour: both set points")
    began = time.monotonic()
    (os.killpg if to_all else os.kill)(run.process.pid, signal.SIGINT)
    code, output, errors = run.finish()
    assert time.monotonic() - began < 10
    assert (code, errors) == (0, "")
    assert summary(output)["lost"] == 0


@pytest.mark.parametrize("delay_s", [0.3, 0.6, 0.9, 1.2])
def test_a_demonstration_interrupted_at_its_start_leaves_nothing(tmp_path, delay_s):
    run = Run(tmp_path, "demo")
    # There is nothing to wait for: any moment of the start is the one
    time.sleep(delay_s)
    os.killpg(run.process.pid, signal.SIGINT)
    code, _, errors = run.finish(10)
    assert code in (0, 130, -signal.SIGINT)
    assert errors.count("\n") <= 1, errors


def test_a_demonstration_without_firmware_ends_at_once(tmp_path):
    """`false` starts and ends as a thermostat does that cannot be run."""
    began = time.monotonic()
    run = Run(tmp_path, "demo", "--seconds", "40", MICROPYTHON="/bin/false")
    code, _, errors = run.finish()
    assert code == 1
    assert time.monotonic() - began < 10
    assert errors.startswith("thermo: ")
    assert "; " in errors
    assert errors.count("\n") == 1


def test_a_thermostat_that_dies_ends_the_demonstration_at_once(tmp_path):
    run = Run(tmp_path, "demo", "--seconds", "40")
    run.read_until("tour: both set points")
    began = time.monotonic()
    for number in processes_with(str(run.temporary)):
        if b"start.py" in Path(f"/proc/{number}/cmdline").read_bytes():
            os.kill(number, signal.SIGKILL)
    code, _, errors = run.finish(20)
    assert code == 1
    assert time.monotonic() - began < 10
    assert errors.startswith("thermo: the thermostat ended by itself (exit code -9)")
    assert errors.count("\n") == 1


def test_a_taken_port_is_told(tmp_path):
    host = own_address()
    with socket.create_server((host, 8883)):
        run = Run(tmp_path, "hub", "start", "--host", host, "--workspace", str(tmp_path / "w"))
        code, _, errors = run.finish(20)
    assert code == 1
    assert errors.startswith(f"thermo: port 8883 on {host} is taken")
    assert errors.count("\n") == 1
    assert not (tmp_path / "w").exists()


def test_exec_takes_another_address_and_a_device_that_has_reported(tmp_path):
    script = """
import os
from azure.iot.hub import IoTHubRegistryManager
registry = IoTHubRegistryManager(os.environ["IOTHUB_CONNECTION_STRING"])
twin = registry.get_twin(os.environ["IOTHUB_DEVICE_ID"])
print(os.environ["IOTHUB_CONNECTION_STRING"].split(";")[0])
print(sorted(name for name in twin.properties.reported if name[0] != "$"))
del registry
"""
    taken = None
    try:
        taken = socket.create_server(("127.0.0.1", 8883))
    except OSError:
        pass  # somebody else has it, which is as good
    arguments = ("hub", "exec", "--thermostat", "t1", "--", sys.executable, "-c", script)
    try:
        code, output, errors = Run(tmp_path, *arguments).finish()
    finally:
        if taken is not None:
            taken.close()
    assert (code, errors) == (0, "")
    host, reported = output.splitlines()
    assert re.match(r"HostName=127\.0\.0\.\d+", host)
    for name in ("deviceInformation", "serialNumber", "thermostat1", "thermostat2"):
        assert name in reported
