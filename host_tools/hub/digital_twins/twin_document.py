"""A twin as JSON: checked against its model, with the service's own members and times.

Source: Azure Digital Twins, "Manage digital twins", "View twin data", "Service limits".
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterable

from host_tools.hub.digital_twins.dtdl import Interface
from host_tools.hub.digital_twins.errors import (
    GraphError,
    invalid_argument,
    limit_exceeded,
    validation_failed,
)
from host_tools.hub.digital_twins.schemas import misfit
from host_tools.hub.state.documents import Json, JsonObject, parse_iso_time

MAX_TWIN_BYTES = 32 * 1024
_OWN = ("$dtId", "$etag", "$metadata")
_ID = re.compile(r"[A-Za-z0-9\-:.+%_#*?!(),=@$']{1,128}")

Whole = Callable[[str], Interface]


def check_id(text: str, what: str) -> None:
    """Raises: GraphError InvalidArgument. Which characters the service takes is not confirmed;
    these are a device id's."""
    if _ID.fullmatch(text) is None:
        raise invalid_argument(
            f"The {what} is not 1 to 128 letters, digits and -:.+%_#*?!(),=@$' ({text[:40]!r})."
        )


def fresh_etag() -> str:
    return f'W/"{uuid.uuid4()}"'


def model_of(document: JsonObject) -> str:
    """The DTMI that a twin names. Raises: GraphError ValidationFailed."""
    metadata = document.get("$metadata")
    dtmi = metadata.get("$model") if isinstance(metadata, dict) else None
    if not isinstance(dtmi, str):
        raise validation_failed("/$metadata/$model: a twin names its model there.")
    return dtmi


def build_twin(
    twin_id: str,
    body: JsonObject,
    whole: Whole,
    now: str,
    before: JsonObject | None = None,
    touched: Iterable[tuple[str, ...]] | None = None,
) -> JsonObject:
    """The twin that `body` describes. `touched` are the paths that were written; None: all.
    What was not touched keeps its times of `before`.

    Raises: GraphError ValidationFailed, LimitExceeded, InvalidArgument, ModelNotFound.
    """
    if body.get("$dtId", twin_id) != twin_id:
        raise invalid_argument("/$dtId: it is not the id of the path.")
    interface = whole(model_of(body))
    times = _Times(now, None if touched is None else set(touched))
    twin: JsonObject = {"$dtId": twin_id, "$etag": fresh_etag()}
    _check_names(body, interface, interface.dtmi)
    for name in interface.components:
        twin[name] = _component(name, body, whole(interface.components[name]), times, before)
    twin |= _properties(body, interface, "")
    metadata = times.metadata((), body, twin, interface, before)
    twin["$metadata"] = {"$model": interface.dtmi, **metadata}
    if len(json.dumps(twin, ensure_ascii=False).encode("utf-8")) > MAX_TWIN_BYTES:
        raise limit_exceeded(f"The twin {twin_id} is longer than {MAX_TWIN_BYTES} bytes.")
    return twin


def _component(
    name: str, body: JsonObject, interface: Interface, times: _Times, before: JsonObject | None
) -> JsonObject:
    document = body.get(name)
    if not isinstance(document, dict) or not isinstance(document.get("$metadata"), dict):
        raise validation_failed(
            f"/{name}: a component of the model is present, as an object with $metadata."
        )
    _check_names(document, interface, interface.dtmi, f"/{name}")
    found = _properties(document, interface, f"/{name}")
    earlier = None if before is None else before.get(name)
    earlier = earlier if isinstance(earlier, dict) else None
    return {**found, "$metadata": times.metadata((name,), document, found, interface, earlier)}


def _check_names(document: JsonObject, interface: Interface, dtmi: str, where: str = "") -> None:
    for name in document:
        if name in _OWN or name in interface.properties or name in interface.components:
            continue
        raise validation_failed(f"{where}/{name}: the model {dtmi} has no property of that name.")


def _properties(document: JsonObject, interface: Interface, where: str) -> JsonObject:
    found: JsonObject = {}
    for name, schema in interface.properties.items():
        if name not in document:
            continue
        if reason := misfit(schema, document[name], f"{where}/{name}"):
            raise validation_failed(f"{reason}.")
        found[name] = document[name]
    return found


class _Times:
    """When each property was written last."""

    def __init__(self, now: str, touched: set[tuple[str, ...]] | None) -> None:
        self._now = now
        self._touched = touched

    def metadata(
        self,
        place: tuple[str, ...],
        given: JsonObject,
        found: JsonObject,
        interface: Interface,
        before: JsonObject | None,
    ) -> JsonObject:
        said = given.get("$metadata")
        said = said if isinstance(said, dict) else {}
        earlier = before.get("$metadata") if before else None
        earlier = earlier if isinstance(earlier, dict) else {}
        known = {"$model", "$lastUpdateTime", *interface.properties}
        for name in said:
            # With another model the times of what only the former one had are left over
            if name not in known and name not in earlier:
                raise validation_failed(f"{_shown((*place, '$metadata', name))}: unknown name.")
        times: JsonObject = {"$lastUpdateTime": self._last(place, earlier)}
        for name in interface.properties:
            if name in found:
                entry = said.get(name)
                source = entry.get("sourceTime") if isinstance(entry, dict) else None
                times[name] = self._entry((*place, name), source, earlier.get(name))
        return times

    def _last(self, place: tuple[str, ...], earlier: JsonObject) -> Json:
        is_touched = self._touched is None or any(
            path[: len(place)] == place for path in self._touched
        )
        return self._now if is_touched else earlier.get("$lastUpdateTime", self._now)

    def _entry(self, path: tuple[str, ...], source: Json, earlier: Json) -> JsonObject:
        is_touched = self._touched is None or any(
            # Something in it, or that which it is in
            each[: len(path)] == path[: len(each)]
            for each in self._touched
        )
        if not is_touched and isinstance(earlier, dict) and source == earlier.get("sourceTime"):
            return earlier
        if source is not None:
            _check_time(source, path)
        kept = earlier.get("lastUpdateTime", self._now) if isinstance(earlier, dict) else self._now
        entry: JsonObject = {"lastUpdateTime": self._now if is_touched else kept}
        return entry if source is None else {**entry, "sourceTime": source}


def _check_time(text: Json, path: tuple[str, ...]) -> None:
    try:
        parse_iso_time(text)
    except ValueError as error:
        raise _invalid_time(path, error) from None


def _invalid_time(path: tuple[str, ...], error: ValueError) -> GraphError:
    return validation_failed(f"sourceTime of {_shown(path)}: {error}.")


def _shown(path: tuple[str, ...]) -> str:
    return "/" + "/".join(path)
