"""Seed 000: the service developer's examples, run as a user would, through `thermo hub exec`."""

from typing import Any

from hub_exec import run as run_seed

REPORT_FIELDS = {"maxTemp", "minTemp", "avgTemp", "startTime", "endTime"}


def run(thermostat: str, script: str) -> dict[str, Any]:
    return run_seed(script, options=("--thermostat", thermostat))


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
