"""A request and its answer, apart from HTTP: what the operations of the REST door work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from host_tools.hub.state.documents import Json, JsonObject, parse_json
from host_tools.hub.state.errors import argument_invalid, device_not_found, malformed
from host_tools.hub.state.hub import Hub
from host_tools.hub.state.identity import identity_key
from host_tools.hub.state.policies import Grant


@dataclass(frozen=True)
class Call:
    """`names` are the variable parts of the path, decoded; `headers` ignore case; `grant` is what
    the client has shown."""

    names: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    grant: Grant

    @property
    def device_id(self) -> str:
        """What the path names first. Raises: HubError 404001: no id holds a slash, and the keys
        of modules, which do, are for the paths of modules."""
        device_id = self.names[0]
        if "/" in device_id:
            raise device_not_found(device_id)
        return device_id

    @property
    def identity_key(self) -> str:
        """The key of the device, or of the module if the path names one. Raises: HubError
        404001."""
        return identity_key(self.device_id, *self.names[1:])

    @property
    def if_match(self) -> str | None:
        return self.headers.get("If-Match")

    def json(self) -> Json:
        """Raises: HubError 400006."""
        try:
            return parse_json(self.body)
        except ValueError as error:
            raise malformed(f"The body is not JSON: {error}") from None

    def json_object(self) -> JsonObject:
        """Raises: HubError 400006, 400004."""
        document = self.json()
        if not isinstance(document, dict):
            raise argument_invalid("The body is not a JSON object.")
        return document

    def number(self, name: str, default: int) -> int:
        """A number of the query string. Raises: HubError 400004."""
        return parse_number(self.query.get(name), name, default)


@dataclass(frozen=True)
class Answer:
    """`document` is written as JSON unless there is a `body`, or `status` is 204 (or 202: an empty
    one)."""

    document: Json = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


Operation: TypeAlias = Callable[[Hub, Call], Awaitable[Answer]]


def parse_number(text: str | None, name: str, default: int) -> int:
    """A number without sign, as in headers and query strings. Raises: HubError 400004."""
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise argument_invalid(f"{name} is not a number.")
    return int(text)


def etag_header(etag: Json) -> dict[str, str]:
    return {"ETag": f'"{etag}"'}
