"""The functions of queries and of route filters.

Source: Azure Digital Twins, "Query language reference: Functions"; "Event routes and filters".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from host_tools.hub.query.expressions import UNDEFINED, Document, Expression, is_defined, kind


class Function(NamedTuple):
    arguments: int
    build: Callable[..., Expression]


def _test(holds: Callable[[Any], bool]) -> Function:
    """Of one value; what is not there is of no kind."""

    def build(of: Expression) -> Expression:
        def decide(row: Document) -> Any:
            value = of(row)
            return value is not UNDEFINED and holds(value)

        return decide

    return Function(1, build)


def _of_texts(holds: Callable[[str, str], bool]) -> Function:
    def build(left: Expression, right: Expression) -> Expression:
        def decide(row: Document) -> Any:
            text, part = left(row), right(row)
            if not isinstance(text, str) or not isinstance(part, str):
                return UNDEFINED
            return holds(text, part)

        return decide

    return Function(2, build)


def _array_contains(of: Expression, wanted: Expression) -> Expression:
    def decide(row: Document) -> Any:
        values, value = of(row), wanted(row)
        if not isinstance(values, list):
            return UNDEFINED
        return any(kind(each) == kind(value) and each == value for each in values)

    return decide


_STARTS = _of_texts(str.startswith)
_ENDS = _of_texts(str.endswith)
_CONTAINS = _of_texts(lambda text, part: part in text)

FUNCTIONS = {
    "IS_OF_MODEL": Function(0, lambda: UNDEFINED),  # has its own arguments; see `language`
    "IS_DEFINED": Function(1, is_defined),
    "IS_BOOL": _test(lambda value: isinstance(value, bool)),
    "IS_NUMBER": _test(lambda value: kind(value) == "number"),
    "IS_STRING": _test(lambda value: isinstance(value, str)),
    "IS_NULL": _test(lambda value: value is None),
    "IS_OBJECT": _test(lambda value: isinstance(value, dict)),
    "IS_PRIMITIVE": _test(lambda value: kind(value) is not None),
    "STARTSWITH": _STARTS,
    "ENDSWITH": _ENDS,
    "CONTAINS": _CONTAINS,
    "ARRAY_CONTAINS": Function(2, _array_contains),
}
FILTER_FUNCTIONS = {"STARTS_WITH": _STARTS, "ENDS_WITH": _ENDS, "CONTAINS": _CONTAINS}
