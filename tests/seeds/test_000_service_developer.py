"""Seed 000: the service developer's examples, run as a user would, through `thermo hub exec`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(__file__).parent / "scripts"
REPORT_FIELDS = {"maxTemp", "minTemp", "avgTemp", "startTime", "endTime"}


def run(thermostat: str, script: str) -> dict[str, Any]:
    """What the script saw, or a failure with everything it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "host_tools.cli", "hub", "exec", "--thermostat", thermostat]
        + ["--", sys.executable, str(SCRIPTS / script)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout.strip().splitlines()[-1]))


def check_report(report: dict[str, Any]) -> None:
    assert set(report) == REPORT_FIELDS
    assert report["minTemp"] <= report["avgTemp"] <= report["maxTemp"]
    assert -40 < report["minTemp"] < 85
    assert report["startTime"].endswith("Z")
    assert report["startTime"] <= report["endTime"]


def test_calls_on_the_default_component() -> None:
    seen = run("t-root:Thermostat", "service_root.py")
    assert seen["modelId"] == seen["digitalTwinModel"] == "dtmi:com:example:Thermostat;1"
    assert seen["desired"] == 42
    assert seen["report"]["status"] == 200
    check_report(seen["report"]["payload"])
    check_report(seen["digitalTwinReport"])
    assert seen["ack"]["value"] == 42
    assert (seen["ack"]["ac"], seen["ack"]["av"]) == (200, seen["desiredVersion"])


def test_calls_on_a_component() -> None:
    seen = run("t-components", "service_component.py")
    assert seen["modelId"] == seen["digitalTwinModel"]
    assert seen["modelId"] == "dtmi:com:example:TemperatureController;1"
    assert seen["desired"] == {"__t": "c", "targetTemperature": 42}
    assert seen["report"]["status"] == 200
    check_report(seen["report"]["payload"])
    check_report(seen["digitalTwinReport"])
    # The default component has no such command: an answer, and no exception of the SDK.
    assert seen["rootStatus"] == 404
    assert seen["ack"]["value"] == 42
    assert (seen["ack"]["ac"], seen["ack"]["av"]) == (200, seen["desiredVersion"])
