"""The models of the graph: uploaded whole or not at all, never changed, decommissioned, deleted.

Source: Azure Digital Twins, "Manage models"; REST specification of the data plane, 2023-10-31;
"Service limits".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from host_tools.hub.digital_twins.dtdl import Interface, parse_interface
from host_tools.hub.digital_twins.errors import (
    GraphError,
    invalid_argument,
    limit_exceeded,
    model_not_found,
    patch_invalid,
)
from host_tools.hub.digital_twins.families import check_family, references, with_inherited
from host_tools.hub.state.documents import Json, JsonObject, iso_time
from host_tools.hub.state.store import Change, Store

MAX_UPLOADED = 250
MAX_MODELS = 10_000
MAX_MODEL_BYTES = 1024 * 1024
_KIND = "graph.model"


@dataclass(frozen=True)
class Model:
    """`interface` is what its own document declares."""

    interface: Interface
    uploaded: str
    is_decommissioned: bool = False

    def described(self, with_document: bool) -> JsonObject:
        """As the service lists it."""
        found: JsonObject = {
            "id": self.interface.dtmi,
            "uploadTime": self.uploaded,
            "decommissioned": self.is_decommissioned,
            "displayName": _in_languages(self.interface.document.get("displayName")),
            "description": _in_languages(self.interface.document.get("description")),
        }
        return {**found, "model": self.interface.document} if with_document else found


class Models:
    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._models: dict[str, Model] = {}
        self._wholes: dict[str, Interface] = {}
        for dtmi, kept in store.load(_KIND):
            assert isinstance(kept, dict)
            self._models[dtmi] = Model(
                parse_interface(kept["document"]), str(kept["uploaded"]), bool(kept["gone"])
            )

    def upload(self, documents: Json) -> list[Model]:
        """All of them or none. Raises: GraphError DTDLParserError, ModelAlreadyExists,
        LimitExceeded, InvalidArgument."""
        fresh = self._parse(documents)

        def find(dtmi: str) -> Interface | None:
            return fresh.get(dtmi) or self._interface(dtmi)

        for interface in fresh.values():
            check_family(interface, find)
        now = iso_time(self._clock())
        added = {dtmi: Model(interface, now) for dtmi, interface in fresh.items()}
        self._store.write([_change(model) for model in added.values()])
        self._models.update(added)
        return list(added.values())

    def get(self, dtmi: str) -> Model:
        """Raises: GraphError ModelNotFound."""
        try:
            return self._models[dtmi]
        except KeyError:
            raise model_not_found(dtmi) from None

    def list(self, dependencies_for: Iterable[str] = ()) -> Iterator[Model]:
        """All, or those of `dependencies_for` with what they cannot be without.
        Raises: GraphError ModelNotFound."""
        wanted = list(dependencies_for)
        if not wanted:
            return iter(self._models.values())
        found: dict[str, Model] = {}
        while wanted:
            model = self.get(wanted.pop())
            if model.interface.dtmi not in found:
                found[model.interface.dtmi] = model
                wanted += references(model.interface)
        return iter(found.values())

    def decommission(self, dtmi: str, operations: Json) -> None:
        """What the one possible patch of a model asks for.
        Raises: GraphError ModelNotFound, JsonPatchInvalid, ModelReferencesNotDecommissioned."""
        model = self.get(dtmi)
        wanted = _parse_decommission(operations)
        users = [each for each in self._users(dtmi) if not each.is_decommissioned]
        if wanted and users:
            raise GraphError(
                "ModelReferencesNotDecommissioned",
                f"{dtmi} is used by {users[0].interface.dtmi}; decommission that one first.",
            )
        changed = replace(model, is_decommissioned=wanted)
        self._store.write([_change(changed)])
        self._models[dtmi] = changed

    def delete(self, dtmi: str) -> None:
        """Raises: GraphError ModelNotFound, ModelReferencesNotDeleted."""
        self.get(dtmi)
        users = list(self._users(dtmi))
        if users:
            raise GraphError(
                "ModelReferencesNotDeleted",
                f"{dtmi} is used by {users[0].interface.dtmi}; delete that one first.",
            )
        self._store.write([Change(_KIND, dtmi, None)])
        del self._models[dtmi]
        self._wholes.clear()

    def delete_all(self) -> Iterator[str]:
        """Each after those that use it. Between two of them others may delete as well, or
        upload what uses them."""
        while self._models:
            free = [dtmi for dtmi in self._models if not any(self._users(dtmi))]
            for dtmi in free:
                if dtmi in self._models and not any(self._users(dtmi)):
                    self.delete(dtmi)
                    yield dtmi

    def whole(self, dtmi: str) -> Interface:
        """The interface with all it extends. Raises: GraphError ModelNotFound."""
        found = self._wholes.get(dtmi)
        if found is None:
            found = with_inherited(self.get(dtmi).interface, self._interface)
            self._wholes[dtmi] = found
        return found

    def is_kind_of(self, dtmi: str, base: str) -> bool:
        """Whether `dtmi` is `base` or extends it, however far; only itself once it is deleted."""
        waiting, seen = [dtmi], set()
        while waiting:
            each = waiting.pop()
            if each == base:
                return True
            interface = None if each in seen else self._interface(each)
            seen.add(each)
            waiting += interface.extends if interface else ()
        return False

    def _interface(self, dtmi: str) -> Interface | None:
        model = self._models.get(dtmi)
        return None if model is None else model.interface

    def _users(self, dtmi: str) -> Iterator[Model]:
        return (each for each in self._models.values() if dtmi in references(each.interface))

    def _parse(self, documents: Json) -> dict[str, Interface]:
        if not isinstance(documents, list) or not documents:
            raise invalid_argument("The body is not an array of models.")
        if len(documents) > MAX_UPLOADED or len(documents) + len(self._models) > MAX_MODELS:
            raise limit_exceeded(
                f"More than {MAX_UPLOADED} models in a call, or {MAX_MODELS} altogether."
            )
        fresh: dict[str, Interface] = {}
        for document in documents:
            if len(json.dumps(document)) > MAX_MODEL_BYTES:
                raise limit_exceeded(f"A model is longer than {MAX_MODEL_BYTES} bytes.")
            interface = parse_interface(document)
            if interface.dtmi in self._models or interface.dtmi in fresh:
                raise GraphError(
                    "ModelAlreadyExists",
                    f"The model {interface.dtmi} exists already; a changed one has a new version.",
                )
            fresh[interface.dtmi] = interface
        return fresh


def _change(model: Model) -> Change:
    return Change(
        _KIND,
        model.interface.dtmi,
        {
            "document": model.interface.document,
            "uploaded": model.uploaded,
            "gone": model.is_decommissioned,
        },
    )


def _in_languages(text: Json) -> JsonObject:
    if text is None:
        return {}
    return text if isinstance(text, dict) else {"en": text}


def _parse_decommission(operations: Json) -> bool:
    if isinstance(operations, list) and len(operations) == 1:
        only = operations[0]
        if isinstance(only, dict):
            value = only.get("value")
            is_it = only.get("op") in ("add", "replace") and only.get("path") == "/decommissioned"
            if is_it and isinstance(value, bool):
                return value
    raise patch_invalid("Of a model only /decommissioned can be replaced, by true or false.")
