"""What the doors behind HTTPS read of a request: the parts of its path, and its body."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from host_tools.hub.state.errors import malformed, too_large


def split_path(raw_path: str) -> tuple[str, ...]:
    """The decoded segments of a raw path. Raises: HubError 400006."""
    # A proxy's form of the request line carries scheme and host.
    _, scheme, rest = raw_path.partition("://")
    if scheme and not raw_path.startswith("/"):
        raw_path = "/" + rest.partition("/")[2]
    return tuple(_decode(each) for each in raw_path.strip("/").split("/"))


def _decode(segment: str) -> str:
    for tail in segment.split("%")[1:]:
        if len(tail) < 2 or not all(digit in "0123456789abcdefABCDEF" for digit in tail[:2]):
            raise malformed("The path is not percent-encoded as it should be.")
    try:
        return unquote_to_bytes(segment).decode("utf-8")
    except ValueError:
        raise malformed("The path is not percent-encoded UTF-8.") from None


async def read_body(request: web.Request, most_bytes: int) -> bytes:
    """Raises: HubError 400006, 413001."""
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise too_large(f"The body is longer than {most_bytes} bytes.") from None
    except (web.RequestPayloadError, HttpProcessingError, ConnectionError):
        # The last of these: the client left in the middle of it, and will not read this either
        raise malformed("The body is not what its headers say.") from None
    except RuntimeError:
        # aiohttp's word for a client that had left before its body was asked for
        if request.transport is not None:
            raise
        raise malformed("The client left before its body was read.") from None
