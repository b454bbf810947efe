"""Seed 002: statistics, the list, a location, and both queries, before and after the device has
reported how it is connected."""

from hub_exec import run


def test_before_the_thermostat_has_said_so_and_after() -> None:
    before = run("connectivity_service.py", "wifi")
    assert (before["total"], before["enabled"], before["disabled"]) == (1, 1, 0)
    assert before["in_plant"] == before["listed"] == ["exec-device"]
    assert before["on_network"] == []

    after = run("connectivity_service.py", "wifi", options=("--thermostat", "t1"))
    assert after["total"] == 2
    assert after["in_plant"] == after["on_network"] == ["t1"]


def test_a_device_that_reports_another_network() -> None:
    """The seed's ReportConnectivity.py, with azure-iot-device, on one hub with its service app."""
    seen = run("connectivity_both.py")
    assert seen["before"]["in_plant"] == ["exec-device"]
    assert seen["before"]["on_network"] == []
    assert seen["after"]["on_network"] == ["exec-device"]
