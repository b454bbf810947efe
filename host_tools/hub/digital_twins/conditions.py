"""Conditions of a parsed query or filter, as functions of a row.

Source: Azure Digital Twins, "Query language reference"; "Event routes and filters".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lark import Token

from host_tools.hub.digital_twins.errors import query_error
from host_tools.hub.digital_twins.functions import Function
from host_tools.hub.query import expressions
from host_tools.hub.query.expressions import Expression
from host_tools.hub.query.reading import unquoted

MAX_CHOICES = 50  # of IN; one page of the documentation says 100

IsKindOf = Callable[[str, str], bool]
"""(dtmi, base): whether a model is, or extends, another."""


class Conditions:
    """`place` says where in a row a path leads."""

    def __init__(
        self,
        place: Callable[[tuple[str, ...]], tuple[str, ...]],
        functions: Mapping[str, Function],
        is_kind_of: IsKindOf,
    ) -> None:
        self._place = place
        self._functions = functions
        self._is_kind_of = is_kind_of

    def build(self, tree: Any) -> Expression:
        """Raises: GraphError SqlQueryError."""
        build: Callable[[list[Any]], Expression] = getattr(self, f"_{tree.data}")
        return build(tree.children)

    def _disjunction(self, parts: list[Any]) -> Expression:
        return expressions.any_of([self.build(each) for each in parts])

    def _conjunction(self, parts: list[Any]) -> Expression:
        return expressions.all_of([self.build(each) for each in parts])

    def _negated(self, parts: list[Any]) -> Expression:
        return expressions.negation(self.build(parts[0]))

    def _comparison(self, parts: list[Any]) -> Expression:
        left, sign, right = parts
        if sign in ("=", "!=") and "null" in (left.data, right.data):
            of = self.build(left if right.data == "null" else right)
            return _null_test(of, holds=sign == "=")
        return expressions.comparison(str(sign), self.build(left), self.build(right))

    def _contained(self, parts: list[Any], is_in: bool = True) -> Expression:
        if len(parts) - 1 > MAX_CHOICES:
            raise query_error(f"IN has more than {MAX_CHOICES} values.")
        choices = [self.build(each) for each in parts[1:]]
        return expressions.membership(self.build(parts[0]), choices, is_in)

    def _excluded(self, parts: list[Any]) -> Expression:
        return self._contained(parts, is_in=False)

    def _number(self, parts: list[Token]) -> Expression:
        text = str(parts[0])
        return expressions.literal(int(text) if text.lstrip("-").isdigit() else float(text))

    def _string(self, parts: list[Token]) -> Expression:
        return expressions.literal(unquoted(parts[0]))

    def _true(self, parts: list[Any]) -> Expression:
        return expressions.literal(True)

    def _false(self, parts: list[Any]) -> Expression:
        return expressions.literal(False)

    def _null(self, parts: list[Any]) -> Expression:
        return expressions.literal(None)

    def _path(self, parts: list[Token]) -> Expression:
        return expressions.path(self._place(tuple(str(each) for each in parts)))

    def _call(self, parts: list[Any]) -> Expression:
        name = str(parts[0]).upper()
        if name == "IS_OF_MODEL" and name in self._functions:
            return self._model_test(parts[1:])
        function = self._functions.get(name)
        if function is None:
            known = ", ".join(self._functions)
            raise query_error(f"The function {parts[0]} is not known; there is {known}.")
        if len(parts) - 1 != function.arguments:
            raise query_error(f"{name} has {function.arguments} arguments.")
        return function.build(*[self.build(each) for each in parts[1:]])

    def _model_test(self, parts: list[Any]) -> Expression:
        is_exact = len(parts) > 1 and _name_of(parts[-1]).lower() == "exact"
        parts = parts[:-1] if is_exact else parts
        kinds = [each.data for each in parts]
        if kinds not in (["string"], ["path", "string"]):
            raise query_error("IS_OF_MODEL is written IS_OF_MODEL(alias, 'dtmi', exact).")
        base = unquoted(parts[-1].children[0])
        names = tuple(str(each) for each in parts[0].children) if len(parts) == 2 else ()
        find = expressions.path(self._place((*names, "$metadata", "$model")))
        is_kind_of = self._is_kind_of

        def decide(row: expressions.Document) -> Any:
            dtmi = find(row)
            if not isinstance(dtmi, str):
                return False
            return dtmi == base if is_exact else is_kind_of(dtmi, base)

        return decide


def _null_test(of: Expression, holds: bool) -> Expression:
    """Unlike other values null is compared with those of any type."""

    def decide(row: expressions.Document) -> Any:
        value = of(row)
        return value if value is expressions.UNDEFINED else (value is None) is holds

    return decide


def _name_of(tree: Any) -> str:
    return str(tree.children[0]) if tree.data == "path" and len(tree.children) == 1 else ""
