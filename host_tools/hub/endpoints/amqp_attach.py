"""How a link comes to be: address, token, handler, and the answer to the peer's attach.

Source: AMQP 1.0 part 2 "Transport", section 2.6.3 (establishing or resuming a link).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from host_tools.hub.endpoints.amqp_incoming import IncomingLink
from host_tools.hub.endpoints.amqp_link import Link, LinkError
from host_tools.hub.endpoints.amqp_nodes import NOT_FOUND, UNAUTHORIZED, path_of
from host_tools.hub.endpoints.amqp_outgoing import OutgoingLink
from host_tools.hub.wire.amqp_performatives import (
    FIRST,
    RECEIVER,
    SENDER,
    SETTLED,
    Attach,
    Source,
    Target,
)

if TYPE_CHECKING:
    from host_tools.hub.endpoints.amqp_session import Session


def open_link(session: Session, attach: Attach) -> None:
    """Raises: LinkError when the peer may not have it."""
    ours = attach.target if attach.role == SENDER else attach.source
    if not isinstance(ours, (Source, Target)) or not isinstance(ours.address, str):
        raise LinkError("the address is missing", "amqp:invalid-field")
    address = path_of(ours.address)
    route, match = session.connection.find_route(address)
    if route.needs_grant and not session.connection.grants.cover(address):
        raise LinkError("no token that allows this was shown", UNAUTHORIZED)
    link: IncomingLink | OutgoingLink
    if attach.role == SENDER:
        if route.incoming is None:
            raise LinkError("nothing can be sent there", NOT_FOUND)
        link = IncomingLink(session, attach, address, route.max_message_bytes)
        link.handler = route.incoming(link, match)
    else:
        if route.outgoing is None:
            raise LinkError("nothing can be received there", NOT_FOUND)
        if route.sends_settled:
            attach.snd_settle_mode = SETTLED
        link = OutgoingLink(session, attach, address)
        link.handler = route.outgoing(link, match)
    link.needs_grant = route.needs_grant
    session.links[link.handle] = link
    _answer(session, attach, attach.source, attach.target, route.max_message_bytes)
    if isinstance(link, IncomingLink):
        link.grant_credit()


def refuse_link(session: Session, attach: Attach, error: LinkError) -> None:
    """An attach without our own terminus, then a detach that says why."""
    is_to_us = attach.role == SENDER
    source, target = (attach.source, None) if is_to_us else (None, attach.target)
    link = Link(session, attach, "")
    session.links[link.handle] = link
    _answer(session, attach, source, target, None)
    link.detach(error.told())


def _answer(
    session: Session, attach: Attach, source: object, target: object, max_bytes: int | None
) -> None:
    role = not attach.role
    session.send(
        Attach(
            attach.name,
            attach.handle,
            role,
            attach.snd_settle_mode,
            FIRST,
            source,
            target,
            initial_delivery_count=0 if role == SENDER else None,
            max_message_size=max_bytes if role == RECEIVER else None,
        )
    )
