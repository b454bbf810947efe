"""What AMQP links have in common, and the scopes of a peer's faults.

LinkError costs the peer the link, SessionError the session, a plain AmqpError the connection.
Source: AMQP 1.0 part 2 "Transport", section 2.6 (links).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from host_tools.hub.wire.amqp_performatives import Attach, Detach, Error
from host_tools.hub.wire.amqp_types import AmqpError

if TYPE_CHECKING:
    from host_tools.hub.endpoints.amqp_session import Session

SERIAL = 1 << 32  # sequence numbers count modulo this (RFC 1982)


class LinkError(AmqpError):
    """The peer's fault on one link, which is detached with it. `info` is for programs."""

    def __init__(
        self, message: str, condition: str, info: dict[object, object] | None = None
    ) -> None:
        super().__init__(message, condition)
        self.info = info

    def told(self) -> Error:
        return Error(self.condition, str(self), self.info)


class SessionError(AmqpError):
    """The peer's fault in one session, which is ended with it."""


class Link:
    """What both directions share. Our handle is the peer's own: both are free together."""

    def __init__(self, session: Session, attach: Attach, address: str) -> None:
        self.session = session
        self.attach = attach
        self.address = address
        self.needs_grant = True
        self.handle = int(attach.handle)
        self.is_attached = True

    def detach(self, error: Error | None = None) -> None:
        """End the link from our side; the peer's own detach is still to come."""
        if self.is_attached:
            self.release()
            self.session.send(Detach(self.handle, True, error))

    def release(self) -> None:
        """Tell the handler, once, that the link is gone."""
        if self.is_attached:
            self.is_attached = False
            self._tell_handler()

    def _tell_handler(self) -> None:
        """A refused link has no handler."""
