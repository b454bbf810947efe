"""The tours of a thermostat and of its building, where a step does not show what it should."""

from __future__ import annotations

import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import ServiceRequestError
from doubles.keys import KEY

from host_tools import building_tour, tour
from host_tools.building_tour import BuildingTour, building_steps
from host_tools.service import ServiceError
from host_tools.tour import Tour, TourError


class FakeRegistry:
    """A hub whose device answers `status` and has acknowledged version 1 with `code`."""

    def __init__(self) -> None:
        self.status, self.code = 200, 200
        self.trouble: BaseException | None = None
        self.closed = False
        self.amqp_svc_client = self

    def from_connection_string(self, _: str) -> FakeRegistry:
        return self

    def disconnect_sync(self) -> None:
        self.closed = True

    def get_twin(self, device_id: str) -> SimpleNamespace:
        if self.trouble is not None:
            raise self.trouble
        ack = {"av": 1, "ac": self.code, "value": 21}
        return SimpleNamespace(
            properties=SimpleNamespace(reported={"thermostat1": {"targetTemperature": ack}}),
            additional_properties={},
            connection_state="Connected",
            etag="e",
        )

    def invoke_device_method(self, device_id: str, method: Any) -> SimpleNamespace:
        return SimpleNamespace(status=self.status, payload={"minTemp": 20})


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> FakeRegistry:
    found = FakeRegistry()
    monkeypatch.setattr(tour, "IoTHubRegistryManager", found)
    monkeypatch.setattr(tour, "DigitalTwinClient", found)
    monkeypatch.setattr(tour, "ACK_TIMEOUT_S", 0.05)
    monkeypatch.setenv("IOTHUB_CONNECTION_STRING", f"SharedAccessKey={KEY}")
    monkeypatch.setenv("IOTHUB_DEVICE_ID", "stove")
    monkeypatch.delenv(building_tour.URL_VARIABLE, raising=False)
    return found


def test_an_answer_with_another_status_ends_the_step(hub: FakeRegistry) -> None:
    hub.status = 500
    with pytest.raises(TourError, match="reboot answered 500 instead of 200"):
        Tour("", "stove").call("reboot", None, 200)
    assert Tour("", "stove").call("reboot", None, 500) == {"minTemp": 20}


def test_an_acknowledgement_that_does_not_come_is_told_with_the_last_one(
    hub: FakeRegistry,
) -> None:
    assert Tour("", "stove").wait_ack("thermostat1", 1, 200)["value"] == 21
    with pytest.raises(TourError, match=r"did not acknowledge version 2 with 200 .*'av': 1"):
        Tour("", "stove").wait_ack("thermostat1", 2, 200)
    with pytest.raises(TourError, match=r"its last acknowledgement was \{\}"):
        Tour("", "stove").wait_ack("thermostat2", 1, 200)


@pytest.mark.parametrize(
    ("trouble", "code", "told"),
    [
        (TourError("no twin"), 1, "the tour ended: no twin\n"),
        (ServiceRequestError("no route"), 1, "the tour ended: no route\n"),
        (OSError("no route"), 1, "the tour ended: no route\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_the_first_step_that_fails_ends_it_in_a_line(
    hub: FakeRegistry,
    capsys: pytest.CaptureFixture[str],
    trouble: BaseException,
    code: int,
    told: str,
) -> None:
    hub.trouble = trouble
    assert tour.main() == code
    assert capsys.readouterr() == ("", told)
    assert hub.closed


def test_all_steps_that_do_what_they_should_end_with_0(
    hub: FakeRegistry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Tour, "steps", lambda self: [self.read_twin])
    assert tour.main() == 0
    assert capsys.readouterr().out == "twin read: Connected, etag e, model no model id\n"


@pytest.mark.parametrize("name", ["IOTHUB_CONNECTION_STRING", "IOTHUB_DEVICE_ID"])
def test_a_variable_that_is_missing_is_named(
    name: str,
    hub: FakeRegistry,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv(name)
    assert tour.main() == 1
    told = capsys.readouterr().err
    assert told == f"the tour ended: {name} is not set; `thermo hub exec` sets it\n"


def test_rooms_that_nothing_is_heard_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: Any = SimpleNamespace(client=lambda: None, registry=lambda: None)
    monkeypatch.setattr(building_tour, "find", lambda _: found)
    monkeypatch.setattr(building_tour, "find_twins", lambda _: found)
    monkeypatch.setattr(building_tour, "LIMIT_S", 0)

    class FakeBridge:
        def __init__(self, *arguments: Any) -> None:
            self._say = arguments[-1]

        def take(self, event: dict[str, str]) -> None:
            self._say(f"{event['component']}: no such twin")

    monkeypatch.setattr(building_tour, "Bridge", FakeBridge)
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    events = [{"component": "thermostat1", "time": later.isoformat()}]
    monkeypatch.setattr(building_tour, "read_events", lambda *_: iter(events))
    with pytest.raises(ServiceError, match=r"both rooms within 0 s \(thermostat1: no such twin"):
        BuildingTour("stove").follow()
    events.clear()
    with pytest.raises(ServiceError, match=r"nothing felt both rooms within 0 s$"):
        BuildingTour("stove").follow()


def test_without_a_graph_there_is_no_building(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(building_tour.URL_VARIABLE, raising=False)
    assert building_steps("stove") == []
