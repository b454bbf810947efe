"""Automatic device management: configurations, and the twins that they are applied to.

Each twin gets what the configurations that target it want. Where two want the same place, the one
with the higher priority has it, then the younger; the other stays `Targeted`. A configuration that
goes, or a twin that leaves its target, keeps the properties until another configuration sets them.
The service looks at all twins every five minutes; here a twin is looked at within a second after
it has changed, and all of them at once when a configuration has.

Whether the service sets a property again that somebody has changed by hand is not confirmed; here
it is set again. Source: Azure IoT Hub, "Automatic IoT device and module management".
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from host_tools.hub.query.language import QueryError, parse_query
from host_tools.hub.state import configuration as values
from host_tools.hub.state import errors
from host_tools.hub.state.configuration import APPLIED, TARGETED, Configuration
from host_tools.hub.state.documents import Json, JsonObject, etag_matches
from host_tools.hub.state.edge import apply_content
from host_tools.hub.state.errors import HubError
from host_tools.hub.state.identity import split_key
from host_tools.hub.state.registry import Registry
from host_tools.hub.state.store import Change, Changes, Store
from host_tools.hub.state.twins import TwinChange, TwinRow, Twins

MAX_CONFIGURATIONS = 100  # Source: Azure IoT Hub quotas, standard tier
_KIND = "configuration"

_LOG = logging.getLogger(__name__)


class Configurations:
    def __init__(
        self, store: Store, clock: Callable[[], float], registry: Registry, twins: Twins
    ) -> None:
        self._store = store
        self._clock = clock
        self._registry = registry
        self._twins = twins
        self._all = {key: values.from_document(body) for key, body in store.load(_KIND)}
        # Of each twin: which configurations target it, and whether they are applied
        self._status: dict[str, dict[str, str]] = {}
        self._changed: set[str] = set()
        twins.on_change(self._on_twin_change)
        twins.configurations = self.status
        registry.on_create(self._note)
        registry.on_delete(self)
        if self._all:
            self._changed.update(registry.device_ids(), registry.module_keys())

    def create(self, configuration_id: str, document: JsonObject) -> JsonObject:
        """Raises: HubError 400004, 409401 (exists), 413101 (too many)."""
        if configuration_id in self._all:
            raise errors.configuration_exists(configuration_id)
        if len(self._all) >= MAX_CONFIGURATIONS:
            raise errors.too_many_configurations(MAX_CONFIGURATIONS)
        self._keep(values.create(configuration_id, document, self._clock()))
        return self.get(configuration_id)

    def update(
        self, configuration_id: str, document: JsonObject, if_match: str | None
    ) -> JsonObject:
        """Raises: HubError 400004, 404301, 412001."""
        former = self._find(configuration_id, if_match)
        self._keep(values.update(former, document, self._clock()))
        return self.get(configuration_id)

    def delete(self, configuration_id: str, if_match: str | None = None) -> None:
        """Raises: HubError 404301, 412001."""
        self._find(configuration_id, if_match)
        self._store.write([Change(_KIND, configuration_id, None)])
        del self._all[configuration_id]
        self._apply_to_all()

    def get(self, configuration_id: str) -> JsonObject:
        """With its metrics, counted now. Raises: HubError 404301."""
        found = self._find(configuration_id)
        targets = [each[found.id] for each in self._status.values() if found.id in each]
        counts: JsonObject = {
            "targetedCount": len(targets),
            "appliedCount": targets.count(APPLIED),
        }
        return {
            **found.view(),
            "systemMetrics": {"results": counts, "queries": found.system_queries()},
            "metrics": {"results": self._count(found), "queries": found.metrics},
        }

    def first(self, top: int = MAX_CONFIGURATIONS) -> list[JsonObject]:
        """Up to `top`, those of the highest priority first."""
        return [self.get(each.id) for each in self._ranked()[:top]]

    def status(self, key: str) -> JsonObject:
        """What a twin has under `configurations`: `{id: {"status": "Applied"}}`."""
        return {name: {"status": each} for name, each in self._status.get(key, {}).items()}

    def test_queries(self, document: JsonObject) -> JsonObject:
        """What is wrong with a target condition and with metrics; None and {} if nothing is.
        Raises: HubError 400004 for what is neither."""
        condition, queries = document.get("targetCondition"), document.get("customMetricQueries")
        if not isinstance(condition or "", str) or not isinstance(queries or {}, dict):
            raise errors.argument_invalid("There is no condition, and no queries, to test.")
        found: JsonObject = {}
        for name, text in queries.items() if isinstance(queries, dict) else ():
            error = _error_of(parse_query, str(text))
            if error:
                found[name] = error
        target = _error_of(values.parse_target, str(condition or ""))
        return {"targetConditionError": target, "customMetricQueryErrors": found}

    def apply_content(self, device_id: str, content: JsonObject) -> None:
        """Set the modules of one IoT Edge device. Raises: HubError 400004, 404001."""
        apply_content(self._registry, self._twins, device_id, content)

    def sweep(self) -> None:
        """Apply what is due to the twins that have changed."""
        changed, self._changed = self._changed, set()
        for key in changed:
            if self._registry.exists(key):
                self._apply(self._twins.row(key))

    def stored(self, key: str) -> Changes:
        return []

    def forget(self, key: str) -> None:
        self._status.pop(key, None)

    def _on_twin_change(self, key: str, change: TwinChange) -> None:
        self._note(key)

    def _note(self, key: str) -> None:
        if self._all:
            self._changed.add(key)

    def _find(self, configuration_id: str, if_match: str | None = None) -> Configuration:
        found = self._all.get(configuration_id)
        if found is None:
            raise errors.configuration_not_found(configuration_id)
        if not etag_matches(if_match, found.etag):
            raise errors.precondition_failed("The configuration has another etag.")
        return found

    def _keep(self, configuration: Configuration) -> None:
        self._store.write([Change(_KIND, configuration.id, values.to_document(configuration))])
        self._all[configuration.id] = configuration
        self._apply_to_all()

    def _apply_to_all(self) -> None:
        for of_modules in (False, True):
            for row in self._twins.rows(of_modules):
                self._apply(row)
        self._changed.clear()

    def _apply(self, row: TwinRow) -> None:
        """Have one twin get what it is to have."""
        status: dict[str, str] = {}
        taken: list[str] = []
        for each in self._targeting(row):
            places = each.places
            is_free = not any(values.overlap(one, other) for one in places for other in taken)
            status[each.id] = APPLIED if is_free and self._set(row.key, each) else TARGETED
            taken += places
        if status:
            self._status[row.key] = status
        else:
            self._status.pop(row.key, None)

    def _targeting(self, row: TwinRow) -> list[Configuration]:
        device_id, module_id = split_key(row.key)
        is_edge = self._registry.identity(device_id).iot_edge
        return [
            each
            for each in self._ranked()
            if each.is_of_modules == bool(module_id)
            and (is_edge or not each.is_of_edge)
            and each.condition()(row) is True
        ]

    def _ranked(self) -> list[Configuration]:
        return sorted(self._all.values(), key=lambda each: each.rank, reverse=True)

    def _set(self, key: str, configuration: Configuration) -> bool:
        """Returns: whether the twin has it now."""
        try:
            if configuration.is_of_edge:
                self.apply_content(key, configuration.content)
            else:
                self._twins.ensure_desired(key, configuration.patch())
        except HubError as error:
            _LOG.info("configuration %s is not applied to %s: %s", configuration.id, key, error)
            return False
        return True

    def _count(self, configuration: Configuration) -> JsonObject:
        """How many rows each custom metric has; what is no query is left out."""
        found: JsonObject = {}
        for name, text in configuration.metrics.items():
            try:
                query = parse_query(str(text))
            except QueryError:
                continue
            rows = self._twins.rows(query.source == "devices.modules")
            each = query.matching(rows) if query.is_whole else query.table(rows)
            found[name] = sum(1 for _ in each)
        return found


def _error_of(parse: Callable[[str], object], text: str) -> Json:
    try:
        parse(text)
    except QueryError as error:
        return str(error)
    return None
