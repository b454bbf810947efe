"""The bridge: what devices say at the hub, kept in the graph of Digital Twins.

For each event of a device: telemetry is published for the twin, or its component (`dt-subject`);
reported properties that its model (`dt-dataschema`) declares become the twin's; a temperature
becomes the room's that is felt by that component, and from there the mean of floor and building.

Every event may come twice, and in an old order after a stop: values are set, never added up, and
what is equal already is not written again. So the graph ends as the devices' last events say.
Source: Azure Digital Twins, "Ingest telemetry from IoT Hub"; "IoT Plug and Play conventions".
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from host_tools.certify.model import Interface, Property
from host_tools.certify.schema import fits
from host_tools.cloud.connection import sdk
from host_tools.cloud.twins_connection import fresh_twin, interfaces_of

FELT_BY = "isFeltBy"
TEMPERATURE, SET_POINT, MEAN = "temperature", "targetTemperature", "averageTemperature"
# From a room upwards: the parents' relationship, and of what of their children they have the mean
LEVELS = (("contains", TEMPERATURE), ("has", MEAN))
# How the building is put together is looked up again after so long
REFRESH_S = 60.0
_TELEMETRY, _TWIN_CHANGE = "Telemetry", "twinChangeEvents"

Rooms = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class _Device:
    """`felt`: the rooms of each component ("" is the root)."""

    interfaces: dict[str, Interface]
    felt: dict[str, list[str]]


class Bridge:
    """`twins` is a DigitalTwinsClient, `registry` an IoTHubRegistryManager. `rooms`: for each
    device that may be created, the room of each of its components, which feels it from then on.
    `say` is told what a person should know; `counts` is what was done."""

    def __init__(
        self,
        twins: Any,
        registry: Any,
        rooms: Rooms,
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._twins = twins
        self._registry = registry
        self._rooms = rooms
        self._say = say
        self._clock = clock
        self._devices: dict[str, _Device | None] = {}
        self._parents: dict[tuple[str, str], list[str]] = {}
        self._children: dict[tuple[str, str], list[str]] = {}
        self._values: dict[tuple[str, str], Any] = {}
        self._properties: dict[str, Mapping[str, Property]] = {}
        self._refreshed_s = clock()
        self._said: set[str] = set()
        self.counts: Counter[str] = Counter()

    def take(self, event: dict[str, Any]) -> None:
        """Deal with one event of `cloud.event_reader`. Raises what the SDK raises when the
        service cannot be reached; what it refuses is said and counted."""
        if not event["device"] or event["module"]:
            return
        self._refresh()
        errors = sdk("azure.core.exceptions")
        try:
            device = self._device(event["device"], event["model"])
            if device is not None:
                self._follow(event, device)
        except errors.HttpResponseError as error:
            status = error.status_code or 500
            if status == 429 or status >= 500 or status in (401, 403):
                raise
            self.counts["refused"] += 1
            self._say_once(f"{event['device']}: {error.message.splitlines()[0]}")

    # ---- what an event says

    def _follow(self, event: dict[str, Any], device: _Device) -> None:
        name, body = event["device"], event["body"]
        if not isinstance(body, dict):
            return
        if event["source"] == _TELEMETRY:
            self.counts["telemetry"] += 1
            self._telemetry(name, event["component"], body, device)
        elif event["source"] == _TWIN_CHANGE:
            reported = (body.get("properties") or {}).get("reported")
            if isinstance(reported, dict):
                self.counts["changes"] += 1
                self._reported(name, reported, device)

    def _telemetry(self, name: str, component: str, body: dict[str, Any], device: _Device) -> None:
        if component in device.interfaces and component:
            self._twins.publish_component_telemetry(name, component, body)
        else:
            self._twins.publish_telemetry(name, body)
        value = body.get(TEMPERATURE)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return
        if math.isfinite(value):  # one such as 1e999 has no mean with others
            for room in device.felt.get(component, ()):
                self._set(room, TEMPERATURE, value)
                self._raise_means(room)

    def _reported(self, name: str, reported: dict[str, Any], device: _Device) -> None:
        """What of it the model declares goes to the twin, and then set points to the rooms."""
        twin = self._twins.get_digital_twin(name)
        operations: list[dict[str, Any]] = []
        set_points: list[tuple[str, Any]] = []
        for component, interface in device.interfaces.items():
            values = reported.get(component) if component else reported
            place = twin.get(component, {}) if component else twin
            if isinstance(values, dict):
                operations += self._changes(interface, values, place, component)
                if SET_POINT in values and SET_POINT in interface.properties:
                    rooms = device.felt.get(component, ())
                    set_points += [(room, _value(values[SET_POINT])) for room in rooms]
        if operations:
            self._twins.update_digital_twin(name, operations)
        for room, value in set_points:
            self._set(room, SET_POINT, value)

    def _changes(
        self, interface: Interface, values: dict[str, Any], now: dict[str, Any], component: str
    ) -> list[dict[str, Any]]:
        found = []
        for name, kind in interface.properties.items():
            value = _value(values.get(name))
            path = f"/{component}/{name}" if component else f"/{name}"
            if name not in values or now.get(name) == value:
                continue
            if value is None:
                found.append({"op": "remove", "path": path})
            elif fits(kind.schema, value):
                found.append({"op": "add", "path": path, "value": value})
            else:
                self.counts["refused"] += 1
                self._say_once(f"{path}: {value!r} is not of the model's schema, left out")
        return found

    # ---- rooms, and what they are in

    def _raise_means(self, child: str, level: int = 0) -> None:
        if level == len(LEVELS):
            return
        relationship, of = LEVELS[level]
        for parent in self._parents_of(child, relationship):
            values = [self._get(each, of) for each in self._children_of(parent, relationship)]
            known = [each for each in values if isinstance(each, (int, float))]
            if known:
                self._set(parent, MEAN, round(math.fsum(known) / len(known), 2))
                self._raise_means(parent, level + 1)

    def _parents_of(self, twin: str, relationship: str) -> list[str]:
        if (twin, relationship) not in self._parents:
            found = self._twins.list_incoming_relationships(twin)
            self._parents[twin, relationship] = [
                each.source_id for each in found if each.relationship_name == relationship
            ]
        return self._parents[twin, relationship]

    def _children_of(self, twin: str, relationship: str) -> list[str]:
        if (twin, relationship) not in self._children:
            found = self._twins.list_relationships(twin, relationship)
            self._children[twin, relationship] = [each["$targetId"] for each in found]
        return self._children[twin, relationship]

    def _get(self, twin: str, name: str) -> Any:
        if (twin, name) not in self._values:
            self._values[twin, name] = self._twins.get_digital_twin(twin).get(name)
        return self._values[twin, name]

    def _set(self, twin: str, name: str, value: Any) -> None:
        if value is None or self._get(twin, name) == value:
            return
        kind = self._properties_of(twin).get(name)
        if kind is None or not fits(kind.schema, value):
            self.counts["refused"] += 1
            self._say_once(f"{twin}/{name}: {value!r} is not of the model's schema, left out")
            return
        operation = {"op": "add", "path": f"/{name}", "value": value}
        self._twins.update_digital_twin(twin, [operation])
        self._values[twin, name] = value
        self.counts["written"] += 1

    def _properties_of(self, twin: str) -> Mapping[str, Property]:
        """What its model declares for the twin itself."""
        if twin not in self._properties:
            dtmi = self._twins.get_digital_twin(twin)["$metadata"]["$model"]
            self._properties[twin] = interfaces_of(self._twins, dtmi)[""].properties
        return self._properties[twin]

    # ---- devices

    def _device(self, name: str, dtmi: str) -> _Device | None:
        """None: it is not in the graph, and nobody said that it should be."""
        if name not in self._devices:
            found = self._load(name, dtmi)
            if found is None and name in self._rooms:
                return None  # the next event may bring the model that this one lacked
            self._devices[name] = found
            if found is not None:
                # The events before this run's first may be gone; the hub's twin is not
                kept = self._hub_twin(name)
                self._reported(name, kept.properties.reported or {} if kept else {}, found)
        return self._devices[name]

    def _load(self, name: str, dtmi: str) -> _Device | None:
        missing = sdk("azure.core.exceptions").ResourceNotFoundError
        try:
            twin = self._twins.get_digital_twin(name)
        except missing:
            if name not in self._rooms:
                self.counts["unknown"] += 1
                self._say_once(
                    f"the device {name} is not in the graph; create it, or put it into the file "
                    "of --rooms"
                )
                return None
            # What is told of a twin's change does not carry the model; the hub's twin may
            kept = None if dtmi else self._hub_twin(name)
            dtmi = kept.additional_properties.get("modelId", "") if kept else dtmi
            if not dtmi:
                self._say_once(f"the device {name} has announced no model yet")
                return None
            twin = self._create(name, dtmi)
        interfaces = interfaces_of(self._twins, twin["$metadata"]["$model"])
        return _Device(interfaces, self._placed(name))

    def _hub_twin(self, name: str) -> Any:
        """None: the device was deleted, after an event that comes only now."""
        try:
            return self._registry.get_twin(name)
        except sdk("msrest.exceptions").HttpOperationError as error:
            if error.response.status_code == 404:
                return None
            raise

    def _create(self, name: str, dtmi: str) -> dict[str, Any]:
        components = [each for each in interfaces_of(self._twins, dtmi) if each]
        twin: dict[str, Any] = self._twins.upsert_digital_twin(
            name, fresh_twin(dtmi, components, {})
        )
        self.counts["created"] += 1
        self._say(f"the device {name} is in the graph now")
        return twin

    def _placed(self, name: str) -> dict[str, list[str]]:
        """The rooms that feel it; those of --rooms begin to. A room may come later than the
        device: it is tried again with every refresh."""
        felt = self._felt(name)
        for component, room in self._rooms.get(name, {}).items():
            if room in felt.get(component, ()):
                continue
            try:
                self._twins.upsert_relationship(
                    room,
                    f"{room}-{FELT_BY}-{name}-{component}".rstrip("-"),
                    {"$relationshipName": FELT_BY, "$targetId": name, "component": component},
                )
            except sdk("azure.core.exceptions").ResourceNotFoundError:
                self._say_once(f"the room {room} of {name} is not in the graph; create it")
            else:
                felt.setdefault(component, []).append(room)
        return felt

    def _felt(self, name: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for each in self._twins.list_incoming_relationships(name):
            if each.relationship_name == FELT_BY:
                edge = self._twins.get_relationship(each.source_id, each.relationship_id)
                found.setdefault(edge.get("component", ""), []).append(each.source_id)
        return found

    def _refresh(self) -> None:
        if self._clock() - self._refreshed_s < REFRESH_S:
            return
        self._refreshed_s = self._clock()
        for kept in (self._devices, self._parents, self._children, self._values):
            kept.clear()
        self._properties.clear()
        self._said.clear()

    def _say_once(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._say(text)


def _value(said: Any) -> Any:
    """What a property is, whether or not the device says it in answer to a desired one."""
    return said["value"] if isinstance(said, dict) and {"value", "ac", "av"} <= set(said) else said
