"""A request to Digital Twins and its answer, apart from HTTP; lists page by page.

Source: REST specification of the Azure Digital Twins data plane, 2023-10-31.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from operator import itemgetter
from typing import TypeAlias
from urllib.parse import urlencode

from host_tools.hub.digital_twins.errors import GraphError, invalid_argument
from host_tools.hub.digital_twins.query import BEGINNING, Found, Place
from host_tools.hub.state.documents import Json, JsonObject, parse_json
from host_tools.hub.state.hub import Hub

PAGE = 100
MAX_QUERY_PAGE = 1000
_SIZE = "max-items-per-page"
TOKEN = "continuationToken"


@dataclass(frozen=True)
class Call:
    """`names` are the variable parts of the path, decoded; `query` has every value of a name;
    `url` is the request's without its query."""

    names: tuple[str, ...]
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    url: str

    @property
    def name(self) -> str:
        """The first of the names."""
        return self.names[0]

    @property
    def if_match(self) -> str | None:
        return self.headers.get("If-Match")

    @property
    def only_new(self) -> bool:
        return self.headers.get("If-None-Match") is not None

    def json(self) -> Json:
        """Raises: GraphError InvalidArgument."""
        try:
            return parse_json(self.body)
        except ValueError as error:
            raise invalid_argument(f"The body is not JSON: {error}") from None

    def text(self, name: str) -> str:
        """The header `name`, "" without it. Raises: GraphError InvalidArgument."""
        text = self.headers.get(name, "")
        if not text.isprintable():  # aiohttp gives lone surrogates for what is no UTF-8
            raise invalid_argument(f"The header {name} has characters that cannot be printed.")
        return text

    def first(self, name: str) -> str | None:
        return next(iter(self.query.get(name, ())), None)

    def page_size(self, most: int = PAGE) -> int:
        """What the client prefers, up to `most`. Raises: GraphError InvalidArgument."""
        text = self.headers.get(_SIZE)
        if text is None:
            return PAGE
        digits = text.lstrip("0") if text.isascii() and text.isdigit() else ""
        if not digits:
            raise invalid_argument(f"{_SIZE} is not a number of 1 or more.")
        return min(int(digits[:9]), most)  # so many tell it; of more than 4300 int() makes nothing


@dataclass(frozen=True)
class Answer:
    """`document` is written as JSON, unless `status` is 204."""

    document: Json = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Operation: TypeAlias = Callable[[Hub, Call], Awaitable[Answer]]


def with_etag(document: JsonObject, status: int = 200) -> Answer:
    """The document, or with 204 only its ETag."""
    return Answer(document, status, {"ETag": str(document["$etag"])})


def page_of(call: Call, items: Iterable[JsonObject], *marks: str) -> Answer:
    """A list, from where `call` goes on; `nextLink` is where the next page is. `marks` name the
    members that tell the items apart, in whose order they come."""
    after = parse_token(call.first(TOKEN))
    found, token = cut(_in_order(items, marks, after), call.page_size())
    link = None
    if token is not None:
        query = {**call.query, TOKEN: [token]}
        link = f"{call.url}?{urlencode(query, doseq=True)}"
    return Answer({"value": [*found], "nextLink": link})


def _in_order(
    items: Iterable[JsonObject], marks: tuple[str, ...], after: Place
) -> Iterator[Found]:
    marked = ((tuple(str(item[mark]) for mark in marks), item) for item in items)
    rest = [each for each in marked if each[0] > after.way]
    for given, (way, item) in enumerate(sorted(rest, key=itemgetter(0)), after.given + 1):
        yield Found(Place(given, way), item)


def cut(found: Iterator[Found], size: int) -> tuple[list[JsonObject], str | None]:
    """One page, and the token of the next; None after the last."""
    page = list(islice(found, size))
    # One more than the page tells whether another follows
    has_more = next(found, None) is not None
    return [each.document for each in page], _token(page[-1].place) if has_more else None


def _token(place: Place) -> str:
    # Not a number of items: who deletes what a page had would never see as many of the next
    text = json.dumps(["graph", place.given, *place.way])
    return base64.urlsafe_b64encode(text.encode("ascii")).decode("ascii")


def parse_token(token: str | None) -> Place:
    """Where the last page ended. Raises: GraphError BadRequest for a token that is none."""
    if token is None:
        return BEGINNING
    try:
        parts = parse_json(base64.b64decode(token, b"-_", validate=True))
    except (binascii.Error, ValueError):
        parts = None
    match parts:
        case ["graph", int(given), *way] if given >= 0:
            return Place(given, tuple(str(each) for each in way))
    raise GraphError("BadRequest", "The continuation token is none of this service.")
