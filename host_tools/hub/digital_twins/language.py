"""The query language of Azure Digital Twins, and the filters of its event routes.

Text in, a `GraphQuery` or a condition out. MATCH, of the newer service, is refused.
Source: Azure Digital Twins, "Query language reference"; "Event routes and filters".
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from functools import cache
from typing import Any

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput

from host_tools.hub.digital_twins.conditions import Conditions, IsKindOf
from host_tools.hub.digital_twins.errors import GraphError, query_error
from host_tools.hub.digital_twins.functions import FILTER_FUNCTIONS, FUNCTIONS
from host_tools.hub.digital_twins.query import Column, GraphQuery, Join
from host_tools.hub.query.expressions import Expression
from host_tools.hub.query.reading import unquoted, where_it_ends

MAX_CHARS = 8000
MAX_JOINS = 5
MAX_SIGNS = 50  # of AND and OR

_GRAMMAR = r"""
query: _SELECT (top? selection | top) _FROM source join* where? ";"?
filter: _disjunction

top: _TOP "(" INT ")"
?selection: "*" -> everything
    | NAME "(" ")" -> aggregate
    | column ("," column)* -> columns
column: path (_AS NAME)?
source: NAME (_AS? NAME)?
join: _JOIN NAME _RELATED path NAME?
where: _WHERE _disjunction

_disjunction: disjunction
?disjunction: conjunction (_OR conjunction)*
?conjunction: negation (_AND negation)*
?negation: _NOT negation -> negated
    | relation
?relation: operand
    | operand COMPARISON operand -> comparison
    | operand _IN "[" (operand ("," operand)*)? "]" -> contained
    | operand _NIN "[" (operand ("," operand)*)? "]" -> excluded
?operand: "(" disjunction ")"
    | NUMBER -> number
    | STRING -> string
    | _TRUE -> true
    | _FALSE -> false
    | _NULL -> null
    | path
    | NAME "(" (operand ("," operand)*)? ")" -> call

path: NAME ("." NAME)*

_SELECT.2: /SELECT\b/i
_TOP.2: /TOP\b/i
_FROM.2: /FROM\b/i
_JOIN.2: /JOIN\b/i
_RELATED.2: /RELATED\b/i
_WHERE.2: /WHERE\b/i
_AS.2: /AS\b/i
_AND.2: /AND\b/i
_OR.2: /OR\b/i
_NOT.2: /NOT\b/i
_IN.2: /IN\b/i
_NIN.2: /NIN\b/i
_TRUE.2: /true\b/i
_FALSE.2: /false\b/i
_NULL.2: /null\b/i
COMPARISON: "<=" | ">=" | "!=" | "=" | "<" | ">"
NAME: /[A-Za-z_$][A-Za-z0-9_$]*/ | /\[\[[A-Za-z_$][A-Za-z0-9_$]*\]\]/
INT: /[0-9]{1,9}(?![0-9.])/
NUMBER: /-?[0-9]{1,18}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?/
STRING: /'([^'\\\x00-\x1f]|\\.)*'/ | /"([^"\\\x00-\x1f]|\\.)*"/
%ignore /[ \t\r\n]+/
"""
# What a query without alias calls its one collection
_ROOT = ""


def parse_query(text: str, is_kind_of: IsKindOf) -> GraphQuery:
    """`is_kind_of(dtmi, base)`: whether a model is, or extends, another.
    Raises: GraphError SqlQueryError, with the place in the text."""
    if len(text) > MAX_CHARS:
        raise query_error(f"The query has {len(text)} characters; it may have {MAX_CHARS}.")
    try:
        return _QueryCompiler(_parse(text, "query"), is_kind_of).query()
    except RecursionError:
        raise query_error("The query is nested too deeply.") from None


def parse_filter(text: str) -> Expression:
    """Raises: GraphError EventRouteFilterInvalid, with the place in the text."""
    try:
        if len(text) > MAX_CHARS:
            raise query_error(f"The filter has more than {MAX_CHARS} characters.")
        (tree,) = _parse(text, "filter").children
        # Filters have no IS_OF_MODEL: nothing is ever compared
        return Conditions(_filter_path, FILTER_FUNCTIONS, operator.eq).build(tree)
    except RecursionError:
        raise GraphError("EventRouteFilterInvalid", "It is nested too deeply.") from None
    except GraphError as error:
        raise GraphError("EventRouteFilterInvalid", error.message) from None


def _filter_path(names: tuple[str, ...]) -> tuple[str, ...]:
    return names


def _parse(text: str, start: str) -> Tree[Token]:
    try:
        return _grammar().parse(text, start=start)
    except UnexpectedInput as error:
        raise query_error(where_it_ends(error, text)) from None


@cache
def _grammar() -> Lark:
    return Lark(
        _GRAMMAR,
        parser="lalr",
        start=["query", "filter"],
        lexer_callbacks={"NAME": _without_brackets},
    )


def _without_brackets(name: Token) -> Token:
    """[[From]] is a name even if From alone is a keyword."""
    return name.update(value=name.strip("[]"))


class _QueryCompiler:
    def __init__(self, tree: Tree[Token], is_kind_of: IsKindOf) -> None:
        self._parts = {str(each.data): each for each in tree.children if isinstance(each, Tree)}
        self._join_trees = [
            each for each in tree.children if isinstance(each, Tree) and each.data == "join"
        ]
        self._collection, self._root = self._source()
        self._twins = {self._root}
        self._edges: set[str] = set()
        self._conditions = Conditions(self._place, FUNCTIONS, is_kind_of)

    def query(self) -> GraphQuery:
        joins = self._joins()
        columns = self._columns()
        conjuncts = list(self._conjuncts())
        pinned: dict[str, tuple[str, ...]] = {}
        for each in conjuncts:
            for alias, ids in self._pins(each):
                pinned.setdefault(alias, ids)
        if joins and not pinned:
            raise query_error("A JOIN needs a condition on the $dtId of one of its twins.")
        is_count = "aggregate" in self._parts
        if joins and not columns and not is_count:
            raise query_error("SELECT * is not possible with JOIN; name what is wanted.")
        top = self._parts.get("top")
        return GraphQuery(
            of_relationships=self._collection == "RELATIONSHIPS",
            root=self._root,
            joins=joins,
            conditions=tuple((self._aliases(each), self._build(each)) for each in conjuncts),
            pinned=pinned,
            columns=columns,
            is_count=is_count,
            top=None if top is None else int(str(top.children[0])),
        )

    def _source(self) -> tuple[str, str]:
        name, *alias = (str(each) for each in self._parts["source"].children)
        collection = name.upper()
        if collection not in ("DIGITALTWINS", "RELATIONSHIPS"):
            raise query_error(f"FROM {name}: it is DIGITALTWINS or RELATIONSHIPS.")
        if collection == "RELATIONSHIPS" and self._join_trees:
            raise query_error("RELATIONSHIPS has no JOIN.")
        return collection, alias[0] if alias else _ROOT

    def _joins(self) -> tuple[Join, ...]:
        if len(self._join_trees) > MAX_JOINS:
            raise query_error(f"There are more than {MAX_JOINS} JOINs.")
        return tuple(self._join(each.children) for each in self._join_trees)

    def _join(self, parts: list[Any]) -> Join:
        target, path = str(parts[0]), [str(each) for each in parts[1].children]
        edge = str(parts[2]) if len(parts) > 2 else None
        if len(path) != 2 or path[0] not in self._twins:
            raise query_error(
                f"JOIN {target}: RELATED is followed by an earlier alias, '.' and the name of a "
                "relationship."
            )
        for alias in (target, *([edge] if edge else [])):
            if alias in self._twins or alias in self._edges:
                raise query_error(f"The alias {alias} is used twice.")
        self._twins.add(target)
        if edge:
            self._edges.add(edge)
        return Join(path[0], path[1], target, edge)

    def _columns(self) -> tuple[Column, ...]:
        aggregate = self._parts.get("aggregate")
        if aggregate is not None and str(aggregate.children[0]).upper() != "COUNT":
            raise query_error(f"{aggregate.children[0]}() is not known; there is COUNT().")
        trees = self._parts["columns"].children if "columns" in self._parts else []
        return tuple(self._column(each) for each in trees if isinstance(each, Tree))

    def _column(self, tree: Tree[Token]) -> Column:
        path, *alias = tree.children
        assert isinstance(path, Tree)
        names = tuple(str(each) for each in path.children)
        return Column(str(alias[0]) if alias else names[-1], self._place(names))

    def _place(self, names: tuple[str, ...]) -> tuple[str, ...]:
        if names[0] in self._twins or names[0] in self._edges:
            return names
        if self._join_trees:
            raise query_error(f"{names[0]} is not an alias of this query.")
        return (self._root, *names)

    def _conjuncts(self) -> Iterator[Any]:
        where = self._parts.get("where")
        if where is None:
            return
        (tree,) = where.children
        _check_signs(tree)
        assert isinstance(tree, Tree)
        yield from _flattened(tree)

    def _build(self, tree: Any) -> Expression:
        return self._conditions.build(tree)

    def _aliases(self, tree: Any) -> frozenset[str]:
        """Of which twins and relationships a condition speaks."""
        found: set[str] = set()
        for path in tree.find_data("path"):
            names = tuple(str(each) for each in path.children)
            is_alias = names[0] in self._twins or names[0] in self._edges
            # The keyword of IS_OF_MODEL reads as a name
            if is_alias or names[0].lower() != "exact":
                found.add(self._place(names)[0])
        if any(True for _ in tree.find_data("call")) and not self._join_trees:
            found.add(self._root)
        return frozenset(found)

    def _pins(self, tree: Any) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Aliases that a condition ties to ids: `T.$dtId = 'a'`, `T.$dtId IN ['a', 'b']`."""
        wanted = "$sourceId" if self._collection == "RELATIONSHIPS" else "$dtId"
        if tree.data == "comparison" and str(tree.children[1]) == "=":
            sides = [tree.children[0], tree.children[2]]
            choices = [each for each in sides if each.data == "string"]
        elif tree.data == "contained":
            sides, choices = tree.children[:1], tree.children[1:]
        else:
            return
        for side in sides:
            if side.data != "path" or not all(each.data == "string" for each in choices):
                continue
            place = self._place(tuple(str(each) for each in side.children))
            if len(place) == 2 and place[1] == wanted and choices:
                yield place[0], tuple(unquoted(each.children[0]) for each in choices)


def _flattened(tree: Any) -> Iterator[Any]:
    """The parts of a conjunction, whatever brackets are around some of them."""
    if tree.data != "conjunction":
        yield tree
        return
    for each in tree.children:
        yield from _flattened(each)


def _check_signs(tree: Any) -> None:
    signs = 0
    for kind in ("disjunction", "conjunction"):
        signs += sum(len(each.children) - 1 for each in tree.find_data(kind))
    if signs > MAX_SIGNS:
        raise query_error(f"There are more than {MAX_SIGNS} AND and OR.")
