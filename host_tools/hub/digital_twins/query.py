"""A parsed query, run over the graph.

A query begins at the twins that its conditions name and follows relationships from there, in
whichever direction, so that its cost is that of what it reaches. It does so in the order of ids,
so that it can go on after a row that is gone meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count, islice
from typing import NamedTuple, Protocol

from host_tools.hub.digital_twins.errors import GraphError
from host_tools.hub.query.expressions import UNDEFINED, Expression, path
from host_tools.hub.state.documents import Json, JsonObject

Way = tuple[str, ...]
Conditions = tuple[tuple[frozenset[str], Expression], ...]
COUNT = "COUNT"  # the key of its one row; not confirmed
# Of twins and relationships, for one page: the hub serves nobody else meanwhile, and this takes
# a PC a second. The service gives up after a time, by the same code.
MAX_EXAMINED = 200_000


class Place(NamedTuple):
    """Where a list or a query was left: how many it had given, and the ids of the last one."""

    given: int
    way: Way


class Found(NamedTuple):
    place: Place
    document: JsonObject


BEGINNING = Place(0, ())


class Row(NamedTuple):
    """`way`: the ids of what led here, from the start on; rows come in its order."""

    way: Way
    by_alias: dict[str, Json]


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

    def run(self, view: View, after: Place = BEGINNING) -> Iterator[Found]:
        """Raises: GraphError TimeoutError."""
        found = self._rows(view, after.way)
        if self.is_count:
            yield Found(BEGINNING, {COUNT: sum(1 for _ in islice(found, self.top))})
            return
        left = None if self.top is None else max(0, self.top - after.given)
        shape = self._shape()
        for given, row in enumerate(islice(found, left), after.given + 1):
            yield Found(Place(given, row.way), shape(row.by_alias))

    def _shape(self) -> Callable[[Mapping[str, Json]], JsonObject]:
        if not self.columns:
            root = self.root
            return lambda row: _whole(row[root])
        finders = [(each.name, path(each.place)) for each in self.columns]

        def project(row: Mapping[str, Json]) -> JsonObject:
            values = ((name, find(row)) for name, find in finders)
            return {name: value for name, value in values if value is not UNDEFINED}

        return project

    def _rows(self, view: View, after: Way) -> Iterator[Row]:
        start = next((alias for alias in self.pinned), self.root)
        first = (
            Row(_mark(each), {start: each}) for each in sorted(self._first(view, start), key=_mark)
        )
        examined = count(1)
        rows = self._holding(first, after, examined, (), (start,))
        bound, waiting = {start}, list(self.joins)
        while waiting:
            join = next(j for j in waiting if j.source in bound or j.target in bound)
            waiting.remove(join)
            new = [join.target if join.source in bound else join.source]
            new += [join.edge] if join.edge else []
            rows = self._holding(_followed(rows, join, view), after, examined, bound, new)
            bound = {*bound, *new}
        return (row for row in rows if row.way > after)

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
        self,
        rows: Iterator[Row],
        after: Way,
        examined: Iterator[int],
        before: Iterable[str],
        new: Iterable[str],
    ) -> Iterator[Row]:
        """Those that may lead beyond `after`, and for which every condition holds that can be
        decided with the `new` aliases, and could not be `before`. Raises: GraphError
        TimeoutError."""
        earlier, now = set(before), {*before, *new}
        checks = [
            condition
            for aliases, condition in self.conditions
            if aliases <= now and (not aliases <= earlier or not earlier)
        ]
        for row in rows:
            if row.way < after[: len(row.way)]:
                continue
            if next(examined) > MAX_EXAMINED:
                raise GraphError(
                    "TimeoutError",
                    f"The query looks at more than {MAX_EXAMINED} twins and relationships; "
                    "ask for less at a time.",
                )
            if all(check(row.by_alias) is True for check in checks):
                yield row


def _followed(rows: Iterator[Row], join: Join, view: View) -> Iterator[Row]:
    for way, row in rows:
        is_forward = join.source in row
        here = _whole(row[join.source if is_forward else join.target])
        twin_id = str(here["$dtId"])
        follow = view.outgoing if is_forward else view.incoming
        for edge in sorted(follow(twin_id, join.relationship), key=_mark):
            there = view.find_twin(str(edge["$targetId" if is_forward else "$sourceId"]))
            other = join.target if is_forward else join.source
            if there is None or (other in row and row[other] is not there):
                continue
            found = {**row, other: there}
            yield Row(way + _mark(edge), {**found, join.edge: edge} if join.edge else found)


def _mark(document: JsonObject) -> Way:
    """The id of a twin, or the two of a relationship."""
    if "$dtId" in document:
        return (str(document["$dtId"]),)
    return str(document["$sourceId"]), str(document["$relationshipId"])


def _whole(document: Json) -> JsonObject:
    assert isinstance(document, dict)
    return document
