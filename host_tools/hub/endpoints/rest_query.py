"""REST operation on many twins, or jobs of devices, at once: the query, page by page.

Whole twins go on after the last id of the page before, so devices that come and go meanwhile
are neither repeated nor skipped. Tables (columns, aggregates) have no id; they go on by count.

Source: REST specification of the IoT Hub service, 2021-04-12.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from itertools import islice

from host_tools.hub.endpoints.rest_call import Answer, Call, parse_number
from host_tools.hub.query.language import QueryError, parse_query
from host_tools.hub.query.running import Query
from host_tools.hub.state.documents import JsonObject
from host_tools.hub.state.errors import argument_invalid
from host_tools.hub.state.hub import Hub
from host_tools.hub.state.registry import MAX_LISTED
from host_tools.hub.state.twins import TwinRow

_CONTINUATION = "x-ms-continuation"
_SIZE = "x-ms-max-item-count"


async def query_devices(hub: Hub, call: Call) -> Answer:
    query = _query(call.json_object().get("query"))
    size = parse_number(call.headers.get(_SIZE), _SIZE, MAX_LISTED)
    if not 1 <= size <= MAX_LISTED:
        raise argument_invalid(f"{_SIZE} is not in 1 to {MAX_LISTED}.")
    taken, after = _parse_token(call.headers.get(_CONTINUATION))
    if query.source == "devices.jobs":
        items, token = _jobs(hub, query, size, taken)
    elif query.is_whole:
        items, token = _twins(hub, query, size, taken, after)
    else:
        items, token = _table(hub, query, size, taken)
    headers = {"x-ms-item-type": _item_type(query)}
    if token:
        headers[_CONTINUATION] = token
    return Answer([*items], headers=headers)


def _query(text: object) -> Query:
    if not isinstance(text, str):
        raise argument_invalid("The body has no query.")
    try:
        query = parse_query(text)
    except QueryError as error:
        raise argument_invalid(str(error)) from None
    return query


def _item_type(query: Query) -> str:
    if query.source == "devices.jobs":
        return "DeviceJob"
    return "Twin" if query.is_whole else "Raw"


def _rows(hub: Hub, query: Query) -> Iterator[TwinRow]:
    return hub.twins.rows(of_modules=query.source == "devices.modules")


def _twins(
    hub: Hub, query: Query, size: int, taken: int, after: str
) -> tuple[list[JsonObject], str]:
    waiting = (row for row in _rows(hub, query) if row.key > after)
    left = size if query.top is None else max(0, min(size, query.top - taken))
    # One more than the page tells whether another follows
    found = list(islice(query.matching(waiting), left + 1))
    page = found[:left]
    is_last = len(found) <= left or taken + left == query.top
    token = "" if is_last else _token(taken + left, page[-1].key)
    return [row.whole() for row in page], token


def _jobs(hub: Hub, query: Query, size: int, taken: int) -> tuple[list[JsonObject], str]:
    """Conditions name what is asked for by its whole path, `devices.jobs.status`, or shortly."""
    rows: Iterator[JsonObject] = ({**row, "devices": {"jobs": row}} for row in hub.jobs.rows())
    found = list(islice(query.matching(rows), taken, taken + size + 1))
    for row in found:
        del row["devices"]
    end = len(found) if query.top is None else max(0, query.top - taken)
    page = found[: min(size, end)]
    return page, _token(taken + size, "") if len(found) > size and end > size else ""


def _table(hub: Hub, query: Query, size: int, taken: int) -> tuple[list[JsonObject], str]:
    rows = list(islice(query.table(_rows(hub, query)), taken, taken + size + 1))
    return rows[:size], _token(taken + size, "") if len(rows) > size else ""


def _token(taken: int, after: str) -> str:
    return base64.b64encode(f"{taken} {after}".encode("ascii")).decode("ascii")


def _parse_token(token: str | None) -> tuple[int, str]:
    if token is None:
        return 0, ""
    try:
        taken, _, after = base64.b64decode(token, validate=True).decode("ascii").partition(" ")
    except (binascii.Error, ValueError):
        taken, after = "", ""
    return parse_number(taken, _CONTINUATION, 0), after
