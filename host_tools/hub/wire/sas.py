"""Shared access signatures: read, verified, built.

`SharedAccessSignature sr=<resource>&sig=<signature>&se=<unix seconds>[&skn=<policy>]`, fields in
any order. The signature is over the resource exactly as the client wrote it: clients differ in
what they percent-encode, so that decoding and encoding again would refuse some of them.
Source: Azure IoT Hub, "Control access to IoT Hub with shared access signatures".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import quote_plus, unquote

PREFIX = "SharedAccessSignature"
CLOCK_SKEW_S = 300  # a device clock may be off by five minutes
MAX_TOKEN_CHARS = 4096  # far above any real token; bounds the work for a stranger


class SasError(ValueError):
    """The text is not a token, or not one that holds here."""


@dataclass(frozen=True)
class SasToken:
    """`resource` as written, still percent-encoded; `policy` None for a device's own key."""

    resource: str
    signature: bytes = field(repr=False)
    expiry: str
    policy: str | None

    @property
    def expiry_s(self) -> int:
        return int(self.expiry)

    def is_expired(self, now_s: float) -> bool:
        return now_s > self.expiry_s + CLOCK_SKEW_S

    def is_signed_by(self, key: bytes) -> bool:
        return hmac.compare_digest(_sign(self.resource, self.expiry, key), self.signature)

    @property
    def path(self) -> str:
        """What of the host the token is for; "" for all of it."""
        return "/".join(self._place()[1:])

    def is_for_host(self, host_names: Collection[str]) -> bool:
        """Whether the resource is, or lies under, one of `host_names` (lower case; any port, with
        or without a scheme)."""
        return _without_port(self._place()[0]).lower() in host_names

    def covers(self, host_names: Collection[str], path: str) -> bool:
        """Whether the token is for one of `host_names`, and `path` lies under its resource, by
        whole segments: `hub/devices/d` covers `devices/d/x` and not `devices/d2`."""
        prefix = self._place()[1:]
        segments = path.strip("/").split("/") if path.strip("/") else []
        return self.is_for_host(host_names) and segments[: len(prefix)] == prefix

    def _place(self) -> list[str]:
        """The host, then the segments of the path."""
        scheme, separator, rest = unquote(self.resource).partition("://")
        return (rest if separator else scheme).strip("/").split("/")


def parse_token(text: str) -> SasToken:
    """Raises: SasError."""
    if len(text) > MAX_TOKEN_CHARS:
        raise SasError("the token is too long")
    scheme, _, rest = text.strip().partition(" ")
    if scheme.lower() != PREFIX.lower():
        raise SasError("the token does not begin with SharedAccessSignature")
    fields = _parse_fields(rest.strip())
    missing = [name for name in ("sr", "sig", "se") if not fields.get(name)]
    if missing:
        raise SasError(f"the token has no {missing[0]}")
    # 12 digits: beyond the year 30000, and short of numbers that cost anything.
    if not (fields["se"].isascii() and fields["se"].isdigit() and len(fields["se"]) <= 12):
        raise SasError("the expiry is not a number of seconds")
    policy = fields.get("skn")
    return SasToken(
        resource=fields["sr"],
        signature=_parse_signature(fields["sig"]),
        expiry=fields["se"],
        policy=unquote(policy) if policy else None,
    )


def is_signature(text: str) -> bool:
    """Whether the text means to be a shared access signature, and not another kind of token."""
    return text.lstrip()[: len(PREFIX)].lower() == PREFIX.lower()


def build_token(resource: str, key: bytes, expiry_s: int, policy: str | None = None) -> str:
    """A token as the SDKs build it; `resource` is not yet percent-encoded."""
    encoded = quote_plus(resource)
    expiry = str(expiry_s)
    signature = quote_plus(base64.b64encode(_sign(encoded, expiry, key)))
    token = f"{PREFIX} sr={encoded}&sig={signature}&se={expiry}"
    return token if policy is None else f"{token}&skn={quote_plus(policy)}"


def _parse_fields(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for part in text.split("&"):
        name, separator, value = part.partition("=")
        if not separator or name in fields:
            raise SasError("the token is not a list of name=value")
        fields[name] = value
    return fields


def _parse_signature(text: str) -> bytes:
    try:
        return base64.b64decode(unquote(text), validate=True)
    except (binascii.Error, ValueError):
        raise SasError("the signature is not base64") from None


def _sign(resource: str, expiry: str, key: bytes) -> bytes:
    text = f"{resource}\n{expiry}"
    return hmac.new(key, text.encode("utf-8", "surrogateescape"), hashlib.sha256).digest()


def _without_port(host: str) -> str:
    name, separator, port = host.rpartition(":")
    return name if separator and port.isdigit() else host
