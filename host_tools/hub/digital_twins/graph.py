"""The graph: twins and what relates them, held to their models.

Documents are never changed in place: whoever holds one holds what it was. Every change is
committed before it is told. Source: REST specification of the Azure Digital Twins data plane,
2023-10-31.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from host_tools.hub.digital_twins import events
from host_tools.hub.digital_twins.dtdl import Interface, RelationshipType
from host_tools.hub.digital_twins.edges import Edges, build_relationship, required_text
from host_tools.hub.digital_twins.errors import (
    GraphError,
    component_not_found,
    invalid_argument,
    patch_invalid,
    precondition_failed,
    twin_not_found,
    validation_failed,
)
from host_tools.hub.digital_twins.events import CloudEvent
from host_tools.hub.digital_twins.json_patch import (
    Operation,
    apply_patch,
    is_source_time,
    parse_patch,
)
from host_tools.hub.digital_twins.language import parse_query
from host_tools.hub.digital_twins.models import Models
from host_tools.hub.digital_twins.query import BEGINNING, Found, Place
from host_tools.hub.digital_twins.routes import Deliver, Routes
from host_tools.hub.digital_twins.twin_document import build_twin, check_id, model_of
from host_tools.hub.state.documents import Json, JsonObject, iso_time
from host_tools.hub.state.store import Change, Store

MAX_TWINS = 1_000_000
_KIND = "graph.twin"


class Graph:
    """`host` is in the sources of events; `endpoints` and `deliver` are where routes lead."""

    def __init__(
        self,
        store: Store,
        clock: Callable[[], float],
        host: str,
        endpoints: Collection[str],
        deliver: Deliver,
    ) -> None:
        self._store = store
        self._clock = clock
        self._host = host
        self.models = Models(store, clock)
        self.routes = Routes(store, endpoints, deliver)
        self._edges = Edges(store)
        self._twins: dict[str, JsonObject] = {}
        for twin_id, document in store.load(_KIND):
            assert isinstance(document, dict)
            self._twins[twin_id] = document

    # ---- twins

    def put_twin(self, twin_id: str, body: Json, only_new: bool = False) -> JsonObject:
        """Create the twin, or replace it. Raises: GraphError."""
        check_id(twin_id, "id of the twin")
        before = self._twins.get(twin_id)
        if before is not None and only_new:
            raise precondition_failed(f"The digital twin {twin_id} exists already.")
        if before is None and len(self._twins) >= MAX_TWINS:
            raise GraphError("TwinLimitReached", f"There are {MAX_TWINS} twins already.")
        document = _object(body, "$dtId", "$etag")
        self._refuse_decommissioned(model_of(document), before)
        twin = build_twin(twin_id, document, self._model_of_new, self._now())
        self._keep(twin_id, twin)
        self._tell(events.TWIN_CREATED, twin_id, twin_id, twin)
        return twin

    def get_twin(self, twin_id: str) -> JsonObject:
        """Raises: GraphError DigitalTwinNotFound."""
        found = self._twins.get(twin_id)
        if found is None:
            raise twin_not_found(twin_id)
        return found

    def patch_twin(self, twin_id: str, patch: Json, if_match: str | None = None) -> JsonObject:
        """Raises: GraphError."""
        return self._patch(twin_id, parse_patch(patch), if_match)

    def delete_twin(self, twin_id: str, if_match: str | None = None) -> None:
        """Raises: GraphError DigitalTwinNotFound, RelationshipsNotDeleted, PreconditionFailed."""
        twin = self.get_twin(twin_id)
        _check_match(twin, if_match, f"The digital twin {twin_id}")
        for found in (self._edges.outgoing(twin_id), self._edges.incoming(twin_id)):
            for edge in found:
                raise GraphError(
                    "RelationshipsNotDeleted",
                    f"The digital twin {twin_id} has the relationship {edge['$relationshipId']} "
                    f"from {edge['$sourceId']} to {edge['$targetId']}; delete it first.",
                )
        self._store.write([Change(_KIND, twin_id, None)])
        del self._twins[twin_id]
        self._tell(events.TWIN_DELETED, twin_id, twin_id, twin)

    def get_component(self, twin_id: str, name: str) -> JsonObject:
        """Raises: GraphError DigitalTwinNotFound, ComponentNotFound, ModelNotFound."""
        twin = self.get_twin(twin_id)
        self._require_component(twin, name)
        found = twin[name]
        assert isinstance(found, dict)
        return found

    def patch_component(
        self, twin_id: str, name: str, patch: Json, if_match: str | None = None
    ) -> JsonObject:
        """Returns: the whole twin. Raises: GraphError."""
        self._require_component(self.get_twin(twin_id), name)
        operations = [each._replace(path=(name, *each.path)) for each in parse_patch(patch)]
        return self._patch(twin_id, operations, if_match)

    def publish(
        self, twin_id: str, component: str, body: Json, message_id: str, source_time: str = ""
    ) -> None:
        """Telemetry, of the twin itself if `component` is "". It goes to routes and is not kept.
        Raises: GraphError DigitalTwinNotFound, ComponentNotFound, ModelNotFound."""
        twin = self.get_twin(twin_id)
        dtmi = model_of(twin)
        if component:
            self._require_component(twin, component)
            dtmi = self.models.whole(dtmi).components[component]
        source, moment = f"{self._host}/digitaltwins/{twin_id}", source_time or self._now()
        self.routes.tell(
            CloudEvent(
                events.TELEMETRY, twin_id, component, source, moment, body, dtmi, message_id
            )
        )

    # ---- relationships

    def put_relationship(
        self, twin_id: str, relationship_id: str, body: Json, only_new: bool = False
    ) -> JsonObject:
        """Create the relationship, or replace it. Raises: GraphError."""
        check_id(relationship_id, "id of the relationship")
        source = self.get_twin(twin_id)
        document = _object(body, "$sourceId", "$relationshipId", "$etag")
        before = self._edges.find(twin_id, relationship_id)
        if before is not None and only_new:
            raise precondition_failed(f"The relationship {relationship_id} exists already.")
        kind = self._relationship_type(source, required_text(document, "$relationshipName"))
        self._check_target(kind, required_text(document, "$targetId"))
        self._check_multiplicity(kind, twin_id, before)
        found = build_relationship(twin_id, relationship_id, document, kind)
        self._edges.put(found)
        told = events.RELATIONSHIP_UPDATED if before else events.RELATIONSHIP_CREATED
        self._tell_of_edge(told, found, found)
        return found

    def get_relationship(self, twin_id: str, relationship_id: str) -> JsonObject:
        """Raises: GraphError DigitalTwinNotFound, RelationshipNotFound."""
        self.get_twin(twin_id)
        return self._edges.get(twin_id, relationship_id)

    def patch_relationship(
        self, twin_id: str, relationship_id: str, patch: Json, if_match: str | None = None
    ) -> JsonObject:
        """Raises: GraphError."""
        before = self.get_relationship(twin_id, relationship_id)
        _check_match(before, if_match, f"The relationship {relationship_id}")
        operations = parse_patch(patch, least=0)
        if not operations:
            return before
        for each in operations:
            if each.path[0].startswith("$"):
                raise patch_invalid(f"/{each.path[0]}: it cannot be changed.")
        source = self.get_twin(twin_id)
        kind = self._relationship_type(source, str(before["$relationshipName"]))
        changed = apply_patch(before, operations)
        found = build_relationship(twin_id, relationship_id, changed, kind)
        self._edges.put(found)
        self._tell_of_edge(events.RELATIONSHIP_UPDATED, found, _told(source, operations))
        return found

    def delete_relationship(
        self, twin_id: str, relationship_id: str, if_match: str | None = None
    ) -> None:
        """Raises: GraphError."""
        found = self.get_relationship(twin_id, relationship_id)
        _check_match(found, if_match, f"The relationship {relationship_id}")
        self._edges.delete(found)
        self._tell_of_edge(events.RELATIONSHIP_DELETED, found, found)

    def delete_everything(self) -> Iterator[str]:
        """Relationships, twins and models, one by one, each with its event; gives their ids.
        Raises: GraphError RelationshipsNotDeleted when relationships are made meanwhile."""
        # Between two of them others may delete as well
        for edge in list(self._edges.all()):
            source, name = str(edge["$sourceId"]), str(edge["$relationshipId"])
            if self._edges.find(source, name) is not None:
                self.delete_relationship(source, name)
                yield name
        for twin_id in list(self._twins):
            if twin_id in self._twins:
                self.delete_twin(twin_id)
                yield twin_id
        yield from self.models.delete_all()

    # ---- what queries and lists look at

    def query(self, text: str, after: Place = BEGINNING) -> Iterator[Found]:
        """Raises: GraphError SqlQueryError, TimeoutError."""
        return parse_query(text, self.models.is_kind_of).run(self, after)

    def find_twin(self, twin_id: str) -> JsonObject | None:
        return self._twins.get(twin_id)

    def all_twins(self) -> Iterable[JsonObject]:
        return list(self._twins.values())

    def all_relationships(self) -> Iterable[JsonObject]:
        return self._edges.all()

    def outgoing(self, twin_id: str, name: str | None = None) -> Iterable[JsonObject]:
        return self._edges.outgoing(twin_id, name)

    def incoming(self, twin_id: str, name: str | None = None) -> Iterable[JsonObject]:
        return self._edges.incoming(twin_id, name)

    # ---- inner parts

    def _patch(
        self, twin_id: str, operations: list[Operation], if_match: str | None
    ) -> JsonObject:
        before = self.get_twin(twin_id)
        _check_match(before, if_match, f"The digital twin {twin_id}")
        for each in operations:
            _refuse_own_members(each)
        changed = apply_patch(before, operations)
        if model_of(changed) != model_of(before):
            self._refuse_decommissioned(model_of(changed), None)
        touched = [each.path for each in operations]
        twin = build_twin(twin_id, changed, self._model_of_new, self._now(), before, touched)
        self._keep(twin_id, twin)
        self._tell(events.TWIN_UPDATED, twin_id, twin_id, _told(twin, operations))
        return twin

    def _keep(self, twin_id: str, twin: JsonObject) -> None:
        self._store.write([Change(_KIND, twin_id, twin)])
        self._twins[twin_id] = twin

    def _model_of_new(self, dtmi: str) -> Interface:
        return self.models.whole(dtmi)

    def _refuse_decommissioned(self, dtmi: str, before: JsonObject | None) -> None:
        """A twin that has the model already may keep it."""
        has_it = before is not None and model_of(before) == dtmi
        if not has_it and self.models.get(dtmi).is_decommissioned:
            raise GraphError(
                "ModelDecommissioned", f"The model {dtmi} is decommissioned: no new twins."
            )

    def _require_component(self, twin: JsonObject, name: str) -> None:
        if name not in self.models.whole(model_of(twin)).components:
            raise component_not_found(str(twin["$dtId"]), name)

    def _relationship_type(self, source: JsonObject, name: str) -> RelationshipType:
        dtmi = model_of(source)
        found = self.models.whole(dtmi).relationships.get(name)
        if found is None:
            raise GraphError(
                "InvalidRelationship", f"/$relationshipName: the model {dtmi} has no {name[:80]}."
            )
        return found

    def _check_target(self, kind: RelationshipType, target_id: str) -> None:
        target = self._twins.get(target_id)
        if target is None:
            raise GraphError(
                "TargetDigitalTwinNotFound",
                f"/$targetId: there is no digital twin {target_id[:128]}.",
            )
        dtmi = model_of(target)
        if kind.target and not self.models.is_kind_of(dtmi, kind.target):
            raise GraphError(
                "InvalidRelationship",
                f"/$targetId: {kind.name} leads to {kind.target}, and {target_id} is {dtmi}.",
            )

    def _check_multiplicity(
        self, kind: RelationshipType, twin_id: str, before: JsonObject | None
    ) -> None:
        if kind.most is None:
            return
        others = [each for each in self._edges.outgoing(twin_id, kind.name) if each is not before]
        if len(others) >= kind.most:
            raise GraphError(
                "InvalidRelationship",
                f"/$relationshipName: {twin_id} has {kind.most} {kind.name} already, which is all "
                "that its model allows.",
            )

    def _tell_of_edge(self, told: str, edge: JsonObject, data: Json) -> None:
        source = str(edge["$sourceId"])
        subject = f"{source}/relationships/{edge['$relationshipId']}"
        self._tell(told, source, subject, data)

    def _tell(self, kind: str, twin_id: str, subject: str, data: Json) -> None:
        if self.routes.is_any:
            self.routes.tell(CloudEvent(kind, twin_id, subject, self._host, self._now(), data))

    def _now(self) -> str:
        return iso_time(self._clock())


def _told(twin: JsonObject, operations: list[Operation]) -> JsonObject:
    """What is told of a patch of `twin`, or of a relationship that begins there."""
    return {"modelId": model_of(twin), "patch": [each.described() for each in operations]}


def _object(body: Json, *given: str) -> JsonObject:
    """`given` are the members that the service gives itself: null is as good as nothing there."""
    if not isinstance(body, dict):
        raise invalid_argument("The body is not a JSON object.")
    found: JsonObject = {name: each for name, each in body.items() if each is not None}
    for name in body:
        if name not in found and name not in given:
            raise validation_failed(f"/{name}: null is no value; leave it out.")
    return found


def _refuse_own_members(operation: Operation) -> None:
    """Of what the service keeps itself only the model and source times are anybody's to write."""
    path = operation.path
    if path[0] in ("$dtId", "$etag"):
        raise patch_invalid(f"/{path[0]}: it cannot be changed.")
    if "$metadata" not in path:
        return
    is_model = path == ("$metadata", "$model") and operation.kind != "remove"
    if not (is_model or is_source_time(path)):
        raise patch_invalid(
            "/{}: of $metadata only $model and sourceTime can be changed.".format("/".join(path))
        )


def _check_match(document: JsonObject, if_match: str | None, what: str) -> None:
    if if_match is None or if_match.strip().strip('"') == "*":
        return
    wanted = if_match.strip().removeprefix("W/").strip('"')
    if wanted != str(document["$etag"]).removeprefix("W/").strip('"'):
        raise precondition_failed(f"{what} has changed meanwhile: its ETag is another.")
