"""Conditions and arithmetic over one document, as functions put together once per query.

A path that leads nowhere is UNDEFINED, and so is what is computed from it, a comparison of two
different types, or of objects. A condition holds only where it is True, and NOT UNDEFINED is
UNDEFINED. Whether the service itself treats a missing path so is not confirmed; its documents
compare "primitive types" only.

Source: Microsoft, "IoT Hub query language for device and module twins, jobs, and message routing".
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from host_tools.hub.state.documents import Json

Document: TypeAlias = Mapping[str, Json]


class _Undefined:
    def __repr__(self) -> str:
        return "UNDEFINED"


UNDEFINED: Any = _Undefined()

# Gives a Json value or UNDEFINED
Expression: TypeAlias = Callable[[Document], Any]

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ORDERED = ("number", "text")
_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
}
_KINDS = {bool: "truth", int: "number", float: "number", str: "text", type(None): "null"}


def kind(value: Any) -> str | None:
    """The primitive type of a value; None for objects, lists and UNDEFINED."""
    return _KINDS.get(type(value))


def literal(value: Json) -> Expression:
    return lambda document: value


def path(keys: Sequence[str]) -> Expression:
    """The value under `keys`, one below the other."""
    first, rest = keys[0], tuple(keys[1:])

    def find(document: Document) -> Any:
        value = document.get(first, UNDEFINED)
        for key in rest:
            value = value.get(key, UNDEFINED) if isinstance(value, dict) else UNDEFINED
        return value

    return find


def comparison(sign: str, left: Expression, right: Expression) -> Expression:
    compare = _COMPARISONS[sign]
    needs_order = sign not in ("=", "!=", "<>")

    def decide(document: Document) -> Any:
        one, other = left(document), right(document)
        common = kind(one)
        if common is None or common != kind(other) or (needs_order and common not in _ORDERED):
            return UNDEFINED
        return compare(one, other)

    return decide


def membership(left: Expression, choices: Iterable[Expression], is_in: bool) -> Expression:
    choices = tuple(choices)

    def decide(document: Document) -> Any:
        value = left(document)
        if kind(value) is None:
            return UNDEFINED
        same = (choice(document) for choice in choices)
        return any(kind(each) == kind(value) and each == value for each in same) == is_in

    return decide


def arithmetic(first: Expression, others: Iterable[tuple[str, Expression]]) -> Expression:
    """`first`, then each sign and operand in turn, from left to right."""
    steps = tuple((_ARITHMETIC[sign], operand) for sign, operand in others)

    def value(document: Document) -> Any:
        result = first(document)
        for compute, operand in steps:
            right = operand(document)
            if kind(result) != "number" or kind(right) != "number":
                return UNDEFINED
            try:
                result = compute(result, right)
            except (ZeroDivisionError, OverflowError):
                return UNDEFINED
        return result

    return value


def negative(of: Expression) -> Expression:
    return arithmetic(literal(0), [("-", of)])


def all_of(conditions: Iterable[Expression]) -> Expression:
    return _joined(tuple(conditions), decisive=False)


def any_of(conditions: Iterable[Expression]) -> Expression:
    return _joined(tuple(conditions), decisive=True)


def _joined(conditions: tuple[Expression, ...], decisive: bool) -> Expression:
    """AND is decided by a False, OR by a True, whatever else is undefined."""

    def decide(document: Document) -> Any:
        outcome: Any = not decisive
        for condition in conditions:
            found = condition(document)
            if found is decisive:
                return decisive
            if found is not (not decisive):
                outcome = UNDEFINED
        return outcome

    return decide


def negation(of: Expression) -> Expression:
    def decide(document: Document) -> Any:
        found = of(document)
        return not found if isinstance(found, bool) else UNDEFINED

    return decide


def is_defined(of: Expression) -> Expression:
    return lambda document: of(document) is not UNDEFINED


def starts_with(of: Expression, beginning: Expression) -> Expression:
    def decide(document: Document) -> Any:
        text, start = of(document), beginning(document)
        both = isinstance(text, str) and isinstance(start, str)
        return text.startswith(start) if both else UNDEFINED

    return decide
