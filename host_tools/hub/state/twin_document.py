"""A twin as a value: how it is stored, and what a service's write of it says."""

from __future__ import annotations

from dataclasses import dataclass

from host_tools.hub.state.documents import Json, JsonObject, counter_etag
from host_tools.hub.state.errors import argument_invalid
from host_tools.hub.state.twin_rules import check_values
from host_tools.hub.state.twin_section import Section


@dataclass(frozen=True)
class Twin:
    """A twin as stored; never changed in place."""

    tags: JsonObject
    desired: Section
    reported: Section
    version: int
    etag_counter: int
    model_id: str

    @property
    def etag(self) -> str:
        return counter_etag(self.etag_counter)


FRESH = Twin({}, Section.fresh(), Section.fresh(), version=1, etag_counter=1, model_id="")


def parse_service_patch(patch: Json) -> tuple[JsonObject | None, JsonObject | None]:
    """Tags and desired of a service's write, checked; None where absent.

    `$version` and `$metadata` are dropped: services send back what they read.
    """
    if not isinstance(patch, dict):
        raise argument_invalid("A twin is an object.")
    tags = _section(patch, "tags")
    desired = _section(_section(patch, "properties") or {}, "desired")
    if desired is not None:
        desired = {k: v for k, v in desired.items() if k not in ("$version", "$metadata")}
        check_values(desired, "desired")
    if tags is not None:
        check_values(tags, "tags")
    return tags, desired


def _section(document: JsonObject, name: str) -> JsonObject | None:
    value = document.get(name)
    if value is not None and not isinstance(value, dict):
        raise argument_invalid(f"{name} is not an object.")
    return value


def to_document(twin: Twin) -> JsonObject:
    return {
        "tags": twin.tags,
        "desired": twin.desired.to_document(),
        "reported": twin.reported.to_document(),
        "version": twin.version,
        "etag_counter": twin.etag_counter,
        "model_id": twin.model_id,
    }


def from_document(document: Json) -> Twin:
    assert isinstance(document, dict)
    tags, version, counter = document["tags"], document["version"], document["etag_counter"]
    assert isinstance(tags, dict)
    assert isinstance(version, int)
    assert isinstance(counter, int)
    return Twin(
        tags,
        Section.from_document(document["desired"]),
        Section.from_document(document["reported"]),
        version,
        counter,
        str(document["model_id"]),
    )
