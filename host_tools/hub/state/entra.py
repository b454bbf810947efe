"""Microsoft Entra, as far as one hub needs it: an identity of its own, and the tokens it gets.

The hub is its own authority: it gives tokens to whoever knows `secret` (the managed identity of
`thermo hub exec`), and accepts those alone. The identity has what the role "IoT Hub Data
Contributor" has: everything of the service, nothing of devices.
Source: Azure IoT Hub, "Control access to IoT Hub by using Microsoft Entra ID"; "How managed
identities work" (tokens for 24 hours).
"""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from host_tools.hub.state.errors import argument_invalid, unauthorized
from host_tools.hub.state.policies import Grant
from host_tools.hub.state.store import Change, Store
from host_tools.hub.wire.jwt import JwtError, build_jwt, parse_jwt
from host_tools.hub.wire.sas import CLOCK_SKEW_S

IOT_HUB = "https://iothubs.azure.net"
EVENT_HUBS = "https://eventhubs.azure.net"
DIGITAL_TWINS = "https://digitaltwins.azure.net"
# What Digital Twins is called in Entra beside its address
_APPLICATION_IDS = {"0b07f429-9f4b-4714-9392-cc5e8e80c8b0": DIGITAL_TWINS}
AUDIENCES = (IOT_HUB, EVENT_HUBS, DIGITAL_TWINS)

LIFE_S = 24 * 3600
_KIND = "entra"
_KEY_BYTES = 32
_BEARER = "bearer "


@dataclass(frozen=True)
class AccessToken:
    """`audience` is the service it is good for; `expiry_s` is unix seconds."""

    text: str = field(repr=False)
    audience: str
    expiry_s: int


class Entra:
    """`secret` is shown by who asks for tokens; it is made anew with every start."""

    def __init__(self, store: Store, clock: Callable[[], float], host_name: str) -> None:
        self._store = store
        self._clock = clock
        self._issuer = f"https://{host_name}/"
        self.secret = secrets.token_urlsafe(_KEY_BYTES)
        self.client_id = ""
        self._key = b""
        for key, document in store.load(_KIND):
            if isinstance(document, str):
                self.client_id, self._key = key, base64.b64decode(document)
        if not self._key:
            self._make_identity()

    def issue(self, resource: str) -> AccessToken:
        """A token for one of AUDIENCES. Raises: HubError 400004 for another resource."""
        audience = _audience(resource)
        if audience not in AUDIENCES:
            raise argument_invalid(
                f"This identity is known to {', '.join(AUDIENCES)} only, and to no other resource."
            )
        now = int(self._clock())
        claims = {
            "aud": audience,
            "iss": self._issuer,
            "iat": now,
            "nbf": now,
            "exp": now + LIFE_S,
            "sub": self.client_id,
        }
        return AccessToken(build_jwt(claims, self._key), audience, now + LIFE_S)

    def authorize(self, token: str | None, *audiences: str) -> Grant:
        """Check a bearer token, with or without `Bearer` before it, for one of `audiences`.

        `token` may be a whole Authorization header, or None where there is none.
        Raises: HubError 401003.
        """
        if token is None:
            raise unauthorized("The request has no Authorization header.")
        if token[: len(_BEARER)].lower() == _BEARER:
            token = token[len(_BEARER) :].strip()
        try:
            claims = parse_jwt(token, self._key)
        except JwtError as error:
            raise unauthorized(f"Not a usable token: {error}.") from None
        now = self._clock()
        if claims["iss"] != self._issuer or claims["aud"] not in audiences:
            raise unauthorized("The token is for another resource.")
        if now > claims["exp"] + CLOCK_SKEW_S:
            raise unauthorized("The token has expired.")
        return Grant(claims["exp"], "hub")

    def _make_identity(self) -> None:
        self.client_id, self._key = str(uuid.uuid4()), secrets.token_bytes(_KEY_BYTES)
        text = base64.b64encode(self._key).decode("ascii")
        self._store.write([Change(_KIND, self.client_id, text)])


def _audience(resource: str) -> str:
    """The service that is meant: addresses come with and without the slash of a scope."""
    name = resource.strip().lower().removesuffix("/.default").rstrip("/")
    return _APPLICATION_IDS.get(name, name)
