"""A query, and what comes out when it is run over documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, TypeVar

from host_tools.hub.query.expressions import UNDEFINED, Document, Expression, kind, path
from host_tools.hub.state.documents import Json, JsonObject

_Row = TypeVar("_Row", bound=Document)


def _average(values: list[Any]) -> Json:
    return sum(values) / len(values) if values else None


# What each makes of the numbers that were found
AGGREGATES: Mapping[str, Callable[[list[Any]], Json]] = {
    "COUNT": len,
    "AVG": _average,
    "SUM": sum,
    "MIN": lambda values: min(values, default=None),
    "MAX": lambda values: max(values, default=None),
}


@dataclass(frozen=True)
class Column:
    """One entry of the select list: a path, or `function` over a path (COUNT: over none)."""

    name: str
    keys: tuple[str, ...]
    function: str = ""

    def named(self, name: str, force: bool = False) -> Column:
        return replace(self, name=name) if force or not self.name else self


@dataclass(frozen=True)
class Query:
    """`columns` () is SELECT *; `top` None is no limit."""

    source: str
    columns: tuple[Column, ...]
    condition: Expression | None = None
    top: int | None = None
    groups: tuple[tuple[str, ...], ...] = ()
    _finders: tuple[Expression, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        finders = tuple(path(each.keys) if each.keys else _whole for each in self.columns)
        object.__setattr__(self, "_finders", finders)

    @property
    def is_whole(self) -> bool:
        """Documents as they are, not a table of columns."""
        return not self.columns and not self.groups

    @property
    def is_aggregate(self) -> bool:
        return bool(self.groups) or any(each.function for each in self.columns)

    def matching(self, documents: Iterable[_Row]) -> Iterator[_Row]:
        """Those for which the condition holds, in their order; not yet limited by `top`."""
        condition = self.condition
        return (each for each in documents if condition is None or condition(each) is True)

    def table(self, documents: Iterable[Document]) -> Iterator[JsonObject]:
        """The rows of a query that is not `is_whole`, at most `top`."""
        found = self.matching(documents)
        rows = self._grouped(found) if self.is_aggregate else map(self._row, found)
        return islice(rows, self.top)

    def _row(self, document: Document) -> JsonObject:
        found = ((each.name, find(document)) for each, find in self._pairs())
        return {name: value for name, value in found if value is not UNDEFINED}

    def _grouped(self, documents: Iterable[Document]) -> Iterator[JsonObject]:
        keys = [path(each) for each in self.groups]
        groups: dict[Any, list[Document]] = {} if keys else {(): []}
        for document in documents:
            # By type too: 1, 1.0 and true are equal to Python
            values = [find(document) for find in keys]
            mark = tuple((kind(value) or type(value).__name__, repr(value)) for value in values)
            groups.setdefault(mark, []).append(document)
        return map(self._summary, groups.values())

    def _summary(self, members: list[Document]) -> JsonObject:
        row: JsonObject = {}
        for column, find in self._pairs():
            values = [find(each) for each in members]
            if column.function:
                row[column.name] = _aggregate(column, values)
            elif values and values[0] is not UNDEFINED:
                row[column.name] = values[0]
        return row

    def _pairs(self) -> Iterator[tuple[Column, Expression]]:
        return zip(self.columns, self._finders, strict=True)


def _whole(document: Document) -> Any:
    return True


def _aggregate(column: Column, values: list[Any]) -> Json:
    if column.function != "COUNT":
        values = [each for each in values if kind(each) == "number"]
    return AGGREGATES[column.function]([each for each in values if each is not UNDEFINED])
