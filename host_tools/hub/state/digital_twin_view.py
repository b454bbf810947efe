"""Plug and Play's view of a twin.

Without the model, a component is recognised by its marker `__t: "c"`, and a writable property by
a desired value or an acknowledgement.
Source: Azure IoT documentation, "Manage IoT Plug and Play digital twins" and "IoT Plug and Play
conventions".
"""

from __future__ import annotations

from host_tools.hub.state.documents import Json, JsonObject
from host_tools.hub.state.twin_section import LAST_UPDATED, LAST_UPDATED_VERSION, Section

MARKER = "__t"
_ACK_NAMES = {"value", "ac", "av", "ad"}


def digital_twin_view(
    device_id: str, model_id: str, desired: Section, reported: Section
) -> JsonObject:
    """The digital twin: properties and components at the top, `$metadata` beside them."""
    components = _component_names(desired.data) | _component_names(reported.data)
    document, metadata = _describe(desired, reported, components)
    for name in sorted(components):
        body, marks = _describe(_sub(desired, name), _sub(reported, name), {MARKER})
        document[name] = {**body, "$metadata": marks}
    return {"$dtId": device_id, **document, "$metadata": {"$model": model_id, **metadata}}


def is_component(value: Json) -> bool:
    return isinstance(value, dict) and value.get(MARKER) == "c"


def _component_names(section: JsonObject) -> set[str]:
    return {name for name, value in section.items() if is_component(value)}


def _sub(section: Section, name: str) -> Section:
    data, metadata = section.data.get(name), section.metadata.get(name)
    return Section(
        data if isinstance(data, dict) else {},
        metadata if isinstance(metadata, dict) else {},
        section.version,
    )


def _describe(
    desired: Section, reported: Section, without: set[str]
) -> tuple[JsonObject, JsonObject]:
    """Values and metadata of the properties of one level."""
    values: JsonObject = {}
    metadata: JsonObject = {}
    for name in sorted((desired.data.keys() | reported.data.keys()) - without):
        metadata[name] = _describe_property(name, desired, reported)
        if name in reported.data:
            values[name] = _acked_value(reported.data[name])
    return values, metadata


def _describe_property(name: str, desired: Section, reported: Section) -> JsonObject:
    described: JsonObject = {}
    if name in desired.data:
        described["desiredValue"] = desired.data[name]
        described["desiredVersion"] = _mark(desired, name, LAST_UPDATED_VERSION)
    report = reported.data.get(name)
    if isinstance(report, dict) and _is_ack(report):
        for short, long in (("av", "ackVersion"), ("ac", "ackCode"), ("ad", "ackDescription")):
            if short in report:
                described[long] = report[short]
    source = reported if name in reported.data else desired
    described["lastUpdateTime"] = _mark(source, name, LAST_UPDATED)
    return described


def _mark(section: Section, name: str, mark: str) -> Json:
    marks = section.metadata.get(name)
    return marks.get(mark) if isinstance(marks, dict) else None


def _is_ack(value: JsonObject) -> bool:
    return "value" in value and "ac" in value and value.keys() <= _ACK_NAMES


def _acked_value(report: Json) -> Json:
    return report["value"] if isinstance(report, dict) and _is_ack(report) else report
