"""The relationships of the graph, found by their source, by their target and by their id.

Source: Azure Digital Twins, "Manage a graph of digital twins using relationships"; "Service
limits".
"""

from __future__ import annotations

from collections.abc import Iterator

from host_tools.hub.digital_twins.dtdl import RelationshipType
from host_tools.hub.digital_twins.errors import (
    GraphError,
    limit_exceeded,
    validation_failed,
)
from host_tools.hub.digital_twins.schemas import misfit
from host_tools.hub.digital_twins.twin_document import fresh_etag
from host_tools.hub.state.documents import Json, JsonObject
from host_tools.hub.state.store import Change, Store

MAX_PER_TWIN = 5000  # in each direction
_KIND = "graph.relationship"
_OWN = ("$relationshipId", "$etag", "$sourceId", "$targetId", "$relationshipName")
# No id has it, so that a source and an id make one key
_SEPARATOR = "\n"


class Edges:
    """Documents are never changed in place: whoever holds one holds what it was."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._outgoing: dict[str, dict[str, JsonObject]] = {}
        self._incoming: dict[str, dict[tuple[str, str], JsonObject]] = {}
        for _, document in store.load(_KIND):
            assert isinstance(document, dict)
            self._index(document)

    def get(self, source_id: str, relationship_id: str) -> JsonObject:
        """Raises: GraphError RelationshipNotFound."""
        found = self._outgoing.get(source_id, {}).get(relationship_id)
        if found is None:
            raise GraphError(
                "RelationshipNotFound",
                f"The digital twin {source_id} has no relationship {relationship_id}.",
            )
        return found

    def find(self, source_id: str, relationship_id: str) -> JsonObject | None:
        return self._outgoing.get(source_id, {}).get(relationship_id)

    def outgoing(self, twin_id: str, name: str | None = None) -> Iterator[JsonObject]:
        found = self._outgoing.get(twin_id, {}).values()
        return (each for each in found if name is None or each["$relationshipName"] == name)

    def incoming(self, twin_id: str, name: str | None = None) -> Iterator[JsonObject]:
        found = self._incoming.get(twin_id, {}).values()
        return (each for each in found if name is None or each["$relationshipName"] == name)

    def all(self) -> Iterator[JsonObject]:
        for each in self._outgoing.values():
            yield from each.values()

    def put(self, document: JsonObject) -> None:
        """Raises: GraphError LimitExceeded."""
        source, target = str(document["$sourceId"]), str(document["$targetId"])
        before = self.find(source, str(document["$relationshipId"]))
        if before is None:
            for found in (self._outgoing.get(source, {}), self._incoming.get(target, {})):
                if len(found) >= MAX_PER_TWIN:
                    raise limit_exceeded(f"A twin has at most {MAX_PER_TWIN} relationships.")
        self._store.write([Change(_KIND, _key(document), document)])
        if before is not None:
            self._unindex(before)
        self._index(document)

    def delete(self, document: JsonObject) -> None:
        self._store.write([Change(_KIND, _key(document), None)])
        self._unindex(document)

    def _index(self, document: JsonObject) -> None:
        source, mark = str(document["$sourceId"]), str(document["$relationshipId"])
        self._outgoing.setdefault(source, {})[mark] = document
        target = self._incoming.setdefault(str(document["$targetId"]), {})
        target[source, mark] = document

    def _unindex(self, document: JsonObject) -> None:
        source, mark = str(document["$sourceId"]), str(document["$relationshipId"])
        del self._outgoing[source][mark]
        del self._incoming[str(document["$targetId"])][source, mark]


def build_relationship(
    source_id: str, relationship_id: str, body: JsonObject, kind: RelationshipType
) -> JsonObject:
    """The document that `body` describes; the twins it joins are checked by the graph. Other
    ids than those of the path are passed over, as on the service.
    Raises: GraphError ValidationFailed."""
    found: JsonObject = {
        "$relationshipId": relationship_id,
        "$etag": fresh_etag(),
        "$sourceId": source_id,
        "$targetId": body["$targetId"],
        "$relationshipName": kind.name,
    }
    for name, value in body.items():
        if name in _OWN:
            continue
        if name not in kind.properties:
            raise validation_failed(
                f"/{name}: the relationship {kind.name} has no property of that name."
            )
        if reason := misfit(kind.properties[name], value, f"/{name}"):
            raise validation_failed(f"{reason}.")
        found[name] = value
    return found


def required_text(body: JsonObject, name: str) -> str:
    """Raises: GraphError ValidationFailed."""
    value: Json = body.get(name)
    if not isinstance(value, str) or not value:
        raise validation_failed(f"/{name}: it is missing, or not a text.")
    return value


def _key(document: JsonObject) -> str:
    return f"{document['$sourceId']}{_SEPARATOR}{document['$relationshipId']}"
