"""JSON Web Tokens, the form of Entra's access tokens: built, and verified.

Signed with HMAC-SHA256, for the one who signs and the one who verifies are the same hub; Entra
itself signs with RSA. Clients do not look inside, they carry the text.
Source: RFC 7519 (claims), RFC 7515 section 7.1 (compact form), RFC 7518 section 3.2 (HS256).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any

MAX_TOKEN_CHARS = 4096  # ours have some hundred; bounds the work for a stranger
_HEADER = {"alg": "HS256", "typ": "JWT"}


class JwtError(ValueError):
    """The text is not a token, or not one that this key has signed."""


def build_jwt(claims: dict[str, Any], key: bytes) -> str:
    signed = f"{_encode_json(_HEADER)}.{_encode_json(claims)}"
    return f"{signed}.{_encode(_sign(signed, key))}"


def parse_jwt(text: str, key: bytes) -> dict[str, Any]:
    """The claims of a token that `key` has signed. Raises: JwtError."""
    if len(text) > MAX_TOKEN_CHARS:
        raise JwtError("the token is too long")
    signed, _, signature = text.rpartition(".")
    # Nothing of a stranger's is read before this, his choice of algorithm included.
    if not hmac.compare_digest(_sign(signed, key), _decode(signature)):
        raise JwtError("the token is not signed by this hub")
    header, _, body = signed.partition(".")
    if json.loads(_decode(header)) != _HEADER:
        raise JwtError("the token has another kind of signature")
    claims: dict[str, Any] = json.loads(_decode(body))
    return claims


def _sign(text: str, key: bytes) -> bytes:
    return hmac.new(key, text.encode("utf-8", "surrogateescape"), hashlib.sha256).digest()


def _encode_json(document: dict[str, Any]) -> str:
    return _encode(json.dumps(document, separators=(",", ":")).encode("utf-8"))


def _encode(data: bytes) -> str:
    """Base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise JwtError("the token is not in the compact form") from None
