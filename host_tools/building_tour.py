"""The last steps of the tour: the building that the thermostat lives in, in Digital Twins.

Through Microsoft's own packages and nothing else; skipped where AZURE_URL names no instance.
"""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Callable
from typing import Any

from host_tools.cloud.bridge import MEAN, TEMPERATURE, Bridge
from host_tools.cloud.connection import find
from host_tools.cloud.event_reader import read_events
from host_tools.cloud.twins_connection import URL_VARIABLE, find_twins
from host_tools.cloud.twins_models import bundled, upload_models
from host_tools.service import ServiceError

_KIND = "dtmi:com:example:{};1".format
ROOMS = {"thermostat1": "livingRoom", "thermostat2": "bedroom"}
TWINS = {"home": "Building", "floor1": "Floor", "livingRoom": "Room", "bedroom": "Room"}
RELATIONSHIPS = (
    ("home", "has", "floor1"),
    ("floor1", "contains", "livingRoom"),
    ("floor1", "contains", "bedroom"),
)
# Telemetry of both rooms comes every two seconds
LIMIT_S = 30.0


def building_steps(device_id: str) -> list[Callable[[], str]]:
    if not os.environ.get(URL_VARIABLE):
        return []
    tour = BuildingTour(device_id)
    return [tour.build, tour.follow, tour.ask]


class BuildingTour:
    """Raises ServiceError, and what the SDK raises."""

    def __init__(self, device_id: str) -> None:
        self._device_id = device_id
        self._hub = find("env")
        self._twins: Any = find_twins("env").client()

    def build(self) -> str:
        added, _ = upload_models(self._twins, bundled())
        for twin, kind in TWINS.items():
            self._twins.upsert_digital_twin(twin, {"$metadata": {"$model": _KIND(kind)}})
        for source, name, target in RELATIONSHIPS:
            body = {"$relationshipName": name, "$targetId": target}
            self._twins.upsert_relationship(source, f"{source}-{name}-{target}", body)
        rooms = " and ".join(ROOMS.values())
        return f"building: {added} models; home has floor1, which contains {rooms}"

    def follow(self) -> str:
        """Bridge what the thermostat says until both rooms are felt."""
        said: list[str] = []
        bridge = Bridge(self._twins, self._hub.registry(), {self._device_id: ROOMS}, said.append)
        # Events begin with the oldest; what the tour asks about is how warm it is now
        began = datetime.datetime.now(datetime.timezone.utc).isoformat()
        end, felt = time.monotonic() + LIMIT_S, set()
        for event in read_events(self._hub, "$Default", {}, lambda: time.monotonic() > end):
            bridge.take(event)
            if event["component"] in ROOMS and event["time"] > began:
                felt.add(event["component"])
            if len(felt) == len(ROOMS):
                break
        if len(felt) < len(ROOMS):
            told = f" ({said[-1]})" if said else ""
            raise ServiceError(f"nothing felt both rooms within {LIMIT_S:.0f} s{told}")
        counts = bridge.counts
        done = f"{counts['telemetry']} telemetry and {counts['changes']} changes of the twin"
        return f"bridge: {done}, taken into the graph; floor1 has a mean of {self._mean()} °C"

    def ask(self) -> str:
        """What no device can answer alone."""
        mean = self._mean()
        rows = self._twins.query_twins(
            "SELECT R.$dtId, R.temperature FROM DIGITALTWINS F JOIN R RELATED F.contains "
            f"WHERE F.$dtId = 'floor1' AND R.temperature > {mean}"
        )
        found = [f"{row['$dtId']} {row[TEMPERATURE]} °C" for row in rows]
        return f"rooms of floor1 above its mean of {mean} °C: {', '.join(found) or 'none'}"

    def _mean(self) -> float:
        return float(self._twins.get_digital_twin("floor1")[MEAN])
