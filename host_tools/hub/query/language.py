"""The grammar, and the way from a text to a `Query`.

Everything is accepted that the service documents for twins, modules and jobs; what it documents
for message routes only ($body, STARTS_WITH, ...) is refused, with the place in the text.

Source: Microsoft, "IoT Hub query language for device and module twins, jobs, and message routing".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedInput, VisitError

from host_tools.hub.query import expressions
from host_tools.hub.query.expressions import Expression
from host_tools.hub.query.reading import unquoted, where_it_ends
from host_tools.hub.query.running import AGGREGATES, Column, Query

MAX_QUERY_CHARS = 8192  # Source: Microsoft, "Query operators and limits"

_GRAMMAR = r"""
query: _SELECT top? selection _FROM source where? group? ";"?
condition: _disjunction

top: _TOP INT
selection: "*" -> everything
    | column ("," column)* -> columns
column: column_value (_AS NAME)?
?column_value: path -> path_column
    | NAME "(" ("*" | path)? ")" -> aggregate_column
source: NAME ("." NAME)*
where: _WHERE _disjunction
group: _GROUP _BY path ("," path)*

_disjunction: disjunction
?disjunction: conjunction (_OR conjunction)*
?conjunction: negation (_AND negation)*
?negation: _NOT negation -> negated
    | relation
?relation: sum
    | sum COMPARISON sum -> comparison
    | sum _IN "[" (sum ("," sum)*)? "]" -> contained
    | sum _NIN "[" (sum ("," sum)*)? "]" -> excluded
?sum: product (SUM_SIGN product)*
?product: factor (PRODUCT_SIGN factor)*
?factor: "-" factor -> negative
    | "(" disjunction ")" -> nested
    | NUMBER -> number
    | STRING -> string
    | _TRUE -> true
    | _FALSE -> false
    | _NULL -> null
    | path -> path_value
    | NAME "(" (sum ("," sum)*)? ")" -> call

path: NAME ("." NAME | "." BRACKETED | "[" STRING "]")*

_SELECT.2: /SELECT\b/i
_TOP.2: /TOP\b/i
_FROM.2: /FROM\b/i
_WHERE.2: /WHERE\b/i
_GROUP.2: /GROUP\b/i
_BY.2: /BY\b/i
_AS.2: /AS\b/i
_AND.2: /AND\b/i
_OR.2: /OR\b/i
_NOT.2: /NOT\b/i
_IN.2: /IN\b/i
_NIN.2: /NIN\b/i
_TRUE.2: /true\b/i
_FALSE.2: /false\b/i
_NULL.2: /null\b/i
COMPARISON: "<=" | ">=" | "<>" | "!=" | "=" | "<" | ">"
SUM_SIGN: "+" | "-"
PRODUCT_SIGN: "*" | "/" | "%"
NAME: /[A-Za-z_$][A-Za-z0-9_$]*/
BRACKETED: /\[\[[^\[\]\x00-\x1f]{1,128}\]\]/
INT: /[0-9]{1,9}(?![0-9.])/
NUMBER: /[0-9]{1,18}(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,3})?/
STRING: /'([^'\\\x00-\x1f]|\\.)*'/ | /"([^"\\\x00-\x1f]|\\.)*"/
%ignore /[ \t\r\n]+/
"""
_SOURCES = ("devices", "devices.modules", "devices.jobs")


class QueryError(Exception):
    """The text is no query; says where and why."""


def parse_query(text: str) -> Query:
    """Raises: QueryError."""
    found = _parse(text, "query")
    assert isinstance(found, Query)
    return found


def parse_condition(text: str) -> Expression:
    """What follows WHERE, or `*` for everything, as scheduled jobs have it. Raises: QueryError."""
    if text.strip() in ("", "*"):
        return expressions.literal(True)
    found: Expression = _parse(text, "condition")
    return found


def _parse(text: str, start: str) -> Any:
    if len(text) > MAX_QUERY_CHARS:
        raise QueryError(f"The query has more than {MAX_QUERY_CHARS} characters.")
    try:
        return _Builder().transform(_grammar().parse(text, start=start))
    except UnexpectedInput as error:
        raise QueryError(where_it_ends(error, text)) from None
    except RecursionError:
        # Running it takes less of the stack than reading it: what was read can be run
        raise QueryError("The query is nested too deeply.") from None
    except VisitError as error:
        if isinstance(error.orig_exc, QueryError):
            raise error.orig_exc from None
        raise


@cache
def _grammar() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", start=["query", "condition"])


class _Builder(Transformer[Token, Any]):
    """From the parsed text to functions, the innermost first."""

    def query(self, parts: list[tuple[str, Any]]) -> Query:
        found = dict(parts)
        columns = found["columns"]
        if found["source"] == "devices.jobs" and (columns or "group" in found):
            raise QueryError("devices.jobs can only be asked for with SELECT *.")
        if "group" in found and not columns:
            raise QueryError("GROUP BY needs a select list instead of *.")
        return Query(
            source=found["source"],
            columns=columns,
            condition=found.get("where"),
            top=found.get("top"),
            groups=found.get("group", ()),
        )

    def condition(self, parts: list[Any]) -> Expression:
        expression: Expression = parts[0]
        return expression

    def top(self, parts: list[Token]) -> tuple[str, int]:
        return "top", int(parts[0])

    def everything(self, parts: list[Any]) -> tuple[str, tuple[Column, ...]]:
        return "columns", ()

    def columns(self, parts: list[Column]) -> tuple[str, tuple[Column, ...]]:
        # Where no name is given the place is the name; so the service does, it is not documented
        return "columns", tuple(each.named(f"${at}") for at, each in enumerate(parts, 1))

    def column(self, parts: list[Any]) -> Column:
        column: Column = parts[0]
        return column.named(str(parts[1]), force=True) if len(parts) > 1 else column

    def path_column(self, parts: list[tuple[str, ...]]) -> Column:
        return Column(parts[0][-1], parts[0])

    def aggregate_column(self, parts: list[Any]) -> Column:
        name = parts[0].upper()
        of = parts[1] if len(parts) > 1 else ()
        if name not in AGGREGATES:
            raise QueryError(_unknown_function(parts[0]))
        if not of and name != "COUNT":
            raise QueryError(f"{name} needs a path between its parentheses.")
        return Column("", of, name)

    def source(self, parts: list[Token]) -> tuple[str, str]:
        name = ".".join(parts).lower()
        if name not in _SOURCES:
            raise QueryError(f"FROM {name!r} is not known: it is {', '.join(_SOURCES)}.")
        return "source", name

    def where(self, parts: list[Any]) -> tuple[str, Expression]:
        return "where", parts[0]

    def group(self, parts: list[tuple[str, ...]]) -> tuple[str, tuple[tuple[str, ...], ...]]:
        return "group", tuple(parts)

    def disjunction(self, parts: list[Any]) -> Expression:
        return expressions.any_of(parts)

    def conjunction(self, parts: list[Any]) -> Expression:
        return expressions.all_of(parts)

    def negated(self, parts: list[Any]) -> Expression:
        return expressions.negation(parts[0])

    def comparison(self, parts: list[Any]) -> Expression:
        return expressions.comparison(str(parts[1]), parts[0], parts[2])

    def contained(self, parts: list[Any]) -> Expression:
        return expressions.membership(parts[0], parts[1:], True)

    def excluded(self, parts: list[Any]) -> Expression:
        return expressions.membership(parts[0], parts[1:], False)

    def sum(self, parts: list[Any]) -> Expression:
        return expressions.arithmetic(parts[0], list(zip(parts[1::2], parts[2::2], strict=True)))

    product = sum

    def negative(self, parts: list[Any]) -> Expression:
        return expressions.negative(parts[0])

    def nested(self, parts: list[Any]) -> Any:
        return parts[0]

    def number(self, parts: list[Token]) -> Expression:
        text = str(parts[0])
        return expressions.literal(int(text) if text.isdigit() else float(text))

    def string(self, parts: list[Token]) -> Expression:
        return expressions.literal(unquoted(parts[0]))

    def true(self, parts: list[Any]) -> Expression:
        return expressions.literal(True)

    def false(self, parts: list[Any]) -> Expression:
        return expressions.literal(False)

    def null(self, parts: list[Any]) -> Expression:
        return expressions.literal(None)

    def path_value(self, parts: list[tuple[str, ...]]) -> Expression:
        return expressions.path(parts[0])

    def call(self, parts: list[Any]) -> Expression:
        function = _FUNCTIONS.get((parts[0].upper(), len(parts) - 1))
        if function is None:
            raise QueryError(_unknown_function(parts[0]))
        return function(*parts[1:])

    def path(self, parts: list[Token]) -> tuple[str, ...]:
        return _below_source(tuple(_READERS.get(each.type, str)(each) for each in parts))


# By name and number of arguments. Only IS_DEFINED is documented for twins; Azure IoT Explorer
# searches with the other
_FUNCTIONS: dict[tuple[str, int], Callable[..., Expression]] = {
    ("IS_DEFINED", 1): expressions.is_defined,
    ("STARTSWITH", 2): expressions.starts_with,
}


def _below_source(keys: tuple[str, ...]) -> tuple[str, ...]:
    """A path may begin with what is asked: `devices.deviceId`, as az iot writes it, is `deviceId`.
    No twin and no job has such a name of its own."""
    for source in reversed(_SOURCES):
        names = source.split(".")
        if len(keys) > len(names) and [each.lower() for each in keys[: len(names)]] == names:
            return keys[len(names) :]
    return keys


# How the parts of a path are written: as text, or, as configurations.[[my-config]] is, in brackets
_READERS: dict[str, Callable[[Token], str]] = {
    "STRING": unquoted,
    "BRACKETED": lambda token: str(token)[2:-2],
}


def _unknown_function(name: Token) -> str:
    known = ", ".join(AGGREGATES)
    return (
        f"At character {(name.start_pos or 0) + 1}: the function {name} is not known for twins "
        "and jobs; there are IS_DEFINED(path) and STARTSWITH(path, text) in conditions and "
        f"{known} in the select list."
    )
