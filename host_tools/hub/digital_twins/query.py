"""A parsed query, run over the graph.

Rows are `{alias: document}`. A query begins at the twins that its conditions name and follows
relationships from there, in whichever direction, so that its cost is that of what it reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, Protocol

from host_tools.hub.query.expressions import UNDEFINED, Expression, path
from host_tools.hub.state.documents import Json, JsonObject

Row = dict[str, Json]
Conditions = tuple[tuple[frozenset[str], Expression], ...]
COUNT = "COUNT"  # the key of its one row; not confirmed


class Join(NamedTuple):
    """`source` —relationship→ `target`; `edge` is the relationship's own alias."""

    source: str
    relationship: str
    target: str
    edge: str | None


class Column(NamedTuple):
    name: str
    place: tuple[str, ...]


class View(Protocol):
    """What a query looks at."""

    def find_twin(self, twin_id: str) -> JsonObject | None: ...

    def all_twins(self) -> Iterable[JsonObject]: ...

    def all_relationships(self) -> Iterable[JsonObject]: ...

    def outgoing(self, twin_id: str, name: str | None = None) -> Iterable[JsonObject]: ...

    def incoming(self, twin_id: str, name: str | None = None) -> Iterable[JsonObject]: ...


@dataclass(frozen=True)
class GraphQuery:
    """`conditions` all hold, each with the aliases it speaks of; `pinned` gives for an alias the
    ids that it can have at most; `columns` () is SELECT *."""

    of_relationships: bool
    root: str
    joins: tuple[Join, ...]
    conditions: Conditions
    pinned: Mapping[str, tuple[str, ...]]
    columns: tuple[Column, ...]
    is_count: bool
    top: int | None

    def run(self, view: View) -> Iterator[JsonObject]:
        found = self._rows(view)
        if self.is_count:
            yield {COUNT: sum(1 for _ in islice(found, self.top))}
            return
        yield from map(self._shape(), islice(found, self.top))

    def _shape(self) -> Callable[[Row], JsonObject]:
        if not self.columns:
            root = self.root
            return lambda row: _whole(row[root])
        finders = [(each.name, path(each.place)) for each in self.columns]

        def project(row: Row) -> JsonObject:
            values = ((name, find(row)) for name, find in finders)
            return {name: value for name, value in values if value is not UNDEFINED}

        return project

    def _rows(self, view: View) -> Iterator[Row]:
        start = next((alias for alias in self.pinned), self.root)
        rows = self._holding(({start: each} for each in self._first(view, start)), (), (start,))
        bound, waiting = {start}, list(self.joins)
        while waiting:
            join = next(j for j in waiting if j.source in bound or j.target in bound)
            waiting.remove(join)
            new = [join.target if join.source in bound else join.source]
            new += [join.edge] if join.edge else []
            rows = self._holding(_followed(rows, join, view), bound, new)
            bound = {*bound, *new}
        return rows

    def _first(self, view: View, alias: str) -> Iterator[JsonObject]:
        ids = self.pinned.get(alias)
        if ids is None:
            yield from view.all_relationships() if self.of_relationships else view.all_twins()
        elif self.of_relationships:
            for source in dict.fromkeys(ids):
                yield from view.outgoing(source)
        else:
            found = (view.find_twin(each) for each in dict.fromkeys(ids))
            yield from (each for each in found if each is not None)

    def _holding(
        self, rows: Iterator[Row], before: Iterable[str], new: Iterable[str]
    ) -> Iterator[Row]:
        """Those for which every condition holds that can be decided with the `new` aliases, and
        could not be `before`."""
        earlier, now = set(before), {*before, *new}
        checks = [
            condition
            for aliases, condition in self.conditions
            if aliases <= now and (not aliases <= earlier or not earlier)
        ]
        return (row for row in rows if all(check(row) is True for check in checks))


def _followed(rows: Iterator[Row], join: Join, view: View) -> Iterator[Row]:
    for row in rows:
        is_forward = join.source in row
        here = _whole(row[join.source if is_forward else join.target])
        twin_id = str(here["$dtId"])
        follow = view.outgoing if is_forward else view.incoming
        for edge in follow(twin_id, join.relationship):
            there = view.find_twin(str(edge["$targetId" if is_forward else "$sourceId"]))
            other = join.target if is_forward else join.source
            if there is None or (other in row and row[other] is not there):
                continue
            found = {**row, other: there}
            yield {**found, join.edge: edge} if join.edge else found


def _whole(document: Json) -> JsonObject:
    assert isinstance(document, dict)
    return document
