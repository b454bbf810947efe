"""`thermo certify`: our own firmware has no defect, a device with a planted one has that one.

With THERMO_DEFECTS=all each of them is planted, else a sample.
"""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from terminal import environment, thermo

from host_tools.hub.client_environment import client_environment
from host_tools.hub.launcher import serving

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
# What is planted, and the check that has to find it
DEFECTS = {
    "none": None,
    "model": "model is announced",
    "property missing": "property is reported",
    "property type": "property is reported",
    "property undeclared": "nothing else is reported",
    "component unmarked": "component is marked",
    "write ignored": "write is acknowledged",
    "write bare": "write is acknowledged",
    "ack version": "write is acknowledged",
    "ack value": "write is acknowledged",
    "ack code": "write is acknowledged",
    "wrong type": "wrong type is refused",
    "null ignored": "null is acknowledged",
    "command fails": "command works",
    "command answer": "answer fits the model",
    "wrong payload": "wrong payload is refused",
    "unknown command": "unknown command is refused",
    "command at root": "root does not answer for it",
    "telemetry undeclared": "telemetry is declared",
    "telemetry component": "telemetry is declared",
    "telemetry at root": "telemetry is declared",
    "telemetry type": "telemetry fits the model",
    "telemetry content": "telemetry is JSON",
    "twin unread": "twin is read on return",
}
SAMPLE = ("none", "property type", "ack version", "telemetry at root", "twin unread")
# An endpoint has five readers for each consumer group
AT_ONCE = 5
IS_WHOLE = os.environ.get("THERMO_DEFECTS") == "all"


def certified(folder, defects):
    """{defect: checks that found something bad}."""

    async def whole():
        async with serving(folder / "hub", None) as server:
            wanted = {}
            for number, defect in enumerate(defects):
                server.ensure_device(f"dev{number}")
                text = server.device_connection_string(f"dev{number}")
                wanted[f"dev{number}"] = (text, defect)
            found = client_environment(server, "dev0")
            variables = {**os.environ, **found, "PYTHONPATH": str(ROOT)}
            devices = await asyncio.create_subprocess_exec(
                *(sys.executable, HERE / "certify_devices.py", json.dumps(wanted)),
                env=variables,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                line = await asyncio.wait_for(devices.stdout.readline(), 60)
                assert line == b"online\n"
                many = await asyncio.create_subprocess_exec(
                    *(sys.executable, HERE / "certify_many.py", *wanted),
                    env=variables,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                )
                out, err = await asyncio.wait_for(many.communicate(), 280)
            finally:
                devices.kill()
                await devices.wait()
            assert many.returncode == 0, err.decode()[-2000:]
            return json.loads(out)

    found = asyncio.run(whole())
    return dict(zip(defects, found.values(), strict=True))


@pytest.mark.timeout(400)
def test_each_planted_defect_is_found_and_no_other(tmp_path):
    defects = list(DEFECTS) if IS_WHOLE else SAMPLE
    found = {}
    for first in range(0, len(defects), AT_ONCE):
        found |= certified(tmp_path, defects[first : first + AT_ONCE])
    assert len(DEFECTS) > 20
    for defect in defects:
        bad = [each for each in found[defect] if each["state"] == "bad"]
        checks = {each["check"] for each in bad}
        expected = DEFECTS[defect]
        if expected is None:
            assert not bad, bad
        else:
            assert expected in checks, (defect, bad)
            # A reader is told what is wrong
            assert all(each["detail"] for each in bad)
    print({defect: len([e for e in found[defect] if e["state"] == "bad"]) for defect in defects})


@pytest.mark.parametrize(
    "model", ["", ":HeatingController", *([":Thermostat"] if IS_WHOLE else [])]
)
@pytest.mark.timeout(300)
def test_our_own_firmware_has_none(tmp_path, model):
    command = ["hub", "exec", "--thermostat", f"t1{model}", "--", *thermo("certify", "t1")]
    options = ["--telemetry", "30", "--patience", "10", "--json"]
    done = subprocess.run(
        thermo(*command, *options),
        cwd=tmp_path,
        env={**environment(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    # Of a crash it tells only after one
    other = [each for each in found if each["state"] != "ok" and each["subject"] != "lastCrash"]
    assert not other
    assert len(found) > (10 if model == ":Thermostat" else 40)
