"""A request to Digital Twins and its answer, apart from HTTP; lists page by page.

Source: REST specification of the Azure Digital Twins data plane, 2023-10-31.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeAlias
from urllib.parse import urlencode

from host_tools.hub.digital_twins.errors import GraphError, invalid_argument
from host_tools.hub.state.documents import Json, JsonObject, parse_json
from host_tools.hub.state.hub import Hub

PAGE = 100
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

    def first(self, name: str) -> str | None:
        return next(iter(self.query.get(name, ())), None)

    def page_size(self) -> int:
        """Raises: GraphError InvalidArgument."""
        text = self.headers.get(_SIZE)
        if text is None:
            return PAGE
        # Its length first: of more than 4300 digits int() makes nothing
        if not (len(text) < 10 and text.isascii() and text.isdigit() and 1 <= int(text) <= PAGE):
            raise invalid_argument(f"{_SIZE} is not in 1 to {PAGE}.")
        return int(text)


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


def page_of(call: Call, items: Iterable[JsonObject]) -> Answer:
    """A list, from where `call` goes on; `nextLink` is where the next page is."""
    found, token = cut(items, call.first(TOKEN), call.page_size())
    link = None
    if token is not None:
        query = {**call.query, TOKEN: [token]}
        link = f"{call.url}?{urlencode(query, doseq=True)}"
    return Answer({"value": [*found], "nextLink": link})


def cut(
    items: Iterable[JsonObject], token: str | None, size: int
) -> tuple[list[JsonObject], str | None]:
    """One page, and the token of the next; None after the last.
    Raises: GraphError BadRequest for a token that is none."""
    taken = 0 if token is None else _parse_token(token)
    # One more than the page tells whether another follows
    found = list(islice(items, taken, taken + size + 1))
    return found[:size], _token(taken + size) if len(found) > size else None


def _token(taken: int) -> str:
    return base64.urlsafe_b64encode(f"graph {taken}".encode("ascii")).decode("ascii")


def _parse_token(token: str) -> int:
    try:
        word, _, number = base64.b64decode(token, b"-_", validate=True).decode().partition(" ")
    except (binascii.Error, ValueError):
        word = number = ""
    if word != "graph" or not (number.isascii() and number.isdigit() and len(number) < 10):
        raise GraphError("BadRequest", "The continuation token is none of this service.")
    return int(number)
