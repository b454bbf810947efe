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


def test_telemetry_and_change_notifications() -> None:
    routes = ("--route", "twinChangeEvents", "--route", "digitalTwinChangeEvents")
    events = run_seed("change_notifications.py", options=routes)["events"]
    telemetry, twin, digital, twin2, digital2 = events
    assert telemetry["body"] == {"temperature": 21.5}
    assert telemetry["system"]["iothub-message-source"] == "Telemetry"
    assert telemetry["system"]["dt-dataschema"] == "dtmi:com:example:Thermostat;1"
    assert telemetry["system"]["content-type"] == "application/json"

    for event, source, schema in (
        (twin, "twinChangeEvents", "twinChangeNotification"),
        (digital, "digitalTwinChangeEvents", "digitalTwinChangeNotification"),
    ):
        assert event["system"]["iothub-message-source"] == source
        assert event["properties"]["iothub-message-schema"] == schema
        assert event["properties"]["opType"] == "updateTwin"
        assert event["properties"]["deviceId"] == "exec-device"
        assert event["system"]["iothub-connection-device-id"] == "exec-device"
    reported = twin["body"]["properties"]["reported"]
    assert reported["maxTempSinceLastReboot"] == 10.96
    assert "maxTempSinceLastReboot" in reported["$metadata"]
    assert [each["path"] for each in digital["body"]] == [
        "/$metadata/maxTempSinceLastReboot",
        "/maxTempSinceLastReboot",
    ]
    assert digital["system"]["content-type"] == "application/json-patch+json"
    assert twin2["body"]["properties"]["reported"]["thermostat1"]["__t"] == "c"
    ((operation),) = digital2["body"]
    assert (operation["op"], operation["path"]) == ("add", "/thermostat1")
    assert operation["value"]["maxTempSinceLastReboot"] == 98.34
