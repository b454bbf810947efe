"""Which addresses the hub has, and who may reach them.

A front door of its own per address: a Route names the pattern of the address and what makes the
handlers of links to it. Connection, session and link know no address; a further node (feedback,
`$management`, a partition) is one more Route in the table of amqp.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from host_tools.hub.endpoints.amqp_incoming import IncomingLink, Receiver
from host_tools.hub.endpoints.amqp_link import LinkError
from host_tools.hub.endpoints.amqp_outgoing import OutgoingLink, Sender
from host_tools.hub.state.entra import EVENT_HUBS, IOT_HUB
from host_tools.hub.state.errors import HubError
from host_tools.hub.state.hub import Hub
from host_tools.hub.state.policies import SERVICE_CONNECT, Grant
from host_tools.hub.wire.sas import CLOCK_SKEW_S

NOT_FOUND = "amqp:not-found"
UNAUTHORIZED = "amqp:unauthorized-access"
# Tokens that one connection may hold: a client has one per audience, and renews it.
MAX_GRANTS = 64

_SCHEME_AND_AUTHORITY = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/]*)")

OpenReceiver = Callable[[IncomingLink, "re.Match[str]"], Receiver]
OpenSender = Callable[[OutgoingLink, "re.Match[str]"], Sender]


@dataclass(frozen=True)
class Route:
    """`incoming` and `outgoing` make the handler of a new link, from the link and the match of
    `pattern` with its address; they raise LinkError to refuse it. None: no such direction.

    `sends_settled`: nobody asks what became of what is sent there, whatever the client wants.
    """

    pattern: str
    incoming: OpenReceiver | None = None
    outgoing: OpenSender | None = None
    needs_grant: bool = True
    max_message_bytes: int = 65536
    sends_settled: bool = False

    def match(self, address: str) -> re.Match[str] | None:
        # Clients differ in the case of `messages/serviceBound` and of `$default`.
        return re.fullmatch(self.pattern, address, re.IGNORECASE)


RouteBuilder = Callable[["Grants"], Sequence[Route]]


def path_of(address: str) -> str:
    """`amqps://hub:5671/messages/devicebound` or `/messages/devicebound` without what leads."""
    return _SCHEME_AND_AUTHORITY.sub("", address, count=1).strip("/")


class Grants:
    """The tokens that one connection has shown, by the path that they are good for."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self._ends: dict[str, float] = {}

    def put(self, audience: str, token: str) -> Grant:
        """Check a token and remember it, in place of an earlier one for the same audience.

        An audience of Entra stands for the whole hub. Raises: HubError 401003.
        """
        asked = "" if audience.startswith(IOT_HUB) else self._own_path(audience)
        grant = self.check(asked, token)
        path = asked.lower()
        if len(self._ends) >= MAX_GRANTS and path not in self._ends:
            raise LinkError("too many tokens", "amqp:resource-limit-exceeded")
        now = self.hub.clock()
        # A token that was over already, and let in because clocks differ, lasts for the allowance.
        end = grant.expiry_s if grant.expiry_s > now else grant.expiry_s + CLOCK_SKEW_S
        self._ends[path] = end
        return grant

    def check(self, path: str, token: str) -> Grant:
        """Whether a token is good for a path, without remembering it. Raises: HubError 401003."""
        audiences = (IOT_HUB, EVENT_HUBS) if self._is_of_events(path) else (IOT_HUB,)
        return self.hub.authorize(token, SERVICE_CONNECT, audiences)

    def cover(self, address: str) -> bool:
        """Whether a token that still holds is good for the address, by whole segments."""
        now = self.hub.clock()
        wanted = address.lower().split("/")
        return any(
            end > now and (not path or wanted[: len(path.split("/"))] == path.split("/"))
            for path, end in self._ends.items()
        )

    def _is_of_events(self, path: str) -> bool:
        name = self.hub.event_hub_name.lower()
        return path.lower().partition("/")[0] == name or path.lower().startswith("messages/events")

    def _own_path(self, audience: str) -> str:
        """The audience is a URL, or (from Node's client) host and path without a scheme."""
        authority, _, path = re.sub(r"^[A-Za-z][A-Za-z0-9+.-]*://", "", audience).partition("/")
        if not self.hub.is_own_host(unquote(authority)):
            raise HubError(401003, "IoTHubUnauthorized", 401, "The audience is another host.")
        return path.strip("/")
