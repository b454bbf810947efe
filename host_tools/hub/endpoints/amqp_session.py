"""One AMQP session: handles, windows, and the way between the connection and its links.

Source: AMQP 1.0 part 2 "Transport", section 2.5 (sessions).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from host_tools.hub.endpoints.amqp_attach import open_link, refuse_link
from host_tools.hub.endpoints.amqp_incoming import IncomingLink
from host_tools.hub.endpoints.amqp_link import SERIAL, Link, LinkError, SessionError
from host_tools.hub.endpoints.amqp_nodes import UNAUTHORIZED
from host_tools.hub.endpoints.amqp_outgoing import OutgoingLink
from host_tools.hub.wire.amqp_composites import Composite
from host_tools.hub.wire.amqp_frames import Frame
from host_tools.hub.wire.amqp_performatives import (
    RECEIVER,
    SENDER,
    Attach,
    Begin,
    Detach,
    Disposition,
    End,
    Error,
    Flow,
    Transfer,
)
from host_tools.hub.wire.amqp_types import AmqpError

if TYPE_CHECKING:
    from host_tools.hub.endpoints.amqp_connection import Connection

# Transfer frames that a peer may have under way in a session, as the service grants them.
INCOMING_WINDOW = 5000
HANDLE_MAX = 255  # an Event Hubs client of .NET has one link per partition in one session
TRANSFER_OVERHEAD_BYTES = 64  # a transfer performative at full length, its frame header included


class Session:
    """`channel` is the peer's number; ours is the same."""

    def __init__(self, connection: Connection, channel: int, begin: Begin) -> None:
        self.connection = connection
        self.channel = channel
        self.is_ended = False  # we sent end; the peer's own is awaited, the rest is ignored
        self.links: dict[int, Link] = {}
        self._next_incoming_id = int(begin.next_outgoing_id)
        self._incoming_window = INCOMING_WINDOW
        self._next_outgoing_id = 0
        self._delivery_id = -1
        self._remote_window = int(begin.incoming_window)
        self.send(
            Begin(channel, 0, INCOMING_WINDOW, INCOMING_WINDOW, min(HANDLE_MAX, begin.handle_max))
        )

    # What links use.

    def send(self, body: Composite, payload: bytes = b"") -> None:
        if not self.is_ended:
            self.connection.send(self.channel, body, payload)

    def send_flow(
        self,
        handle: int | None = None,
        delivery_count: int | None = None,
        credit: int | None = None,
        drain: bool = False,
    ) -> None:
        self._incoming_window = INCOMING_WINDOW
        self.send(
            Flow(
                self._next_incoming_id,
                INCOMING_WINDOW,
                self._next_outgoing_id,
                INCOMING_WINDOW,
                handle,
                delivery_count,
                credit,
                None if handle is None else 0,
                drain,
            )
        )

    @property
    def can_transfer(self) -> bool:
        return self._remote_window > 0 and not self.is_ended and self.connection.has_room

    @property
    def max_chunk_bytes(self) -> int:
        return self.connection.remote_max_frame_bytes - TRANSFER_OVERHEAD_BYTES

    def next_delivery_id(self) -> int:
        self._delivery_id = (self._delivery_id + 1) % SERIAL
        return self._delivery_id

    def send_transfer(self, transfer: Transfer, chunk: bytes) -> None:
        self._remote_window -= 1
        self._next_outgoing_id = (self._next_outgoing_id + 1) % SERIAL
        self.send(transfer, chunk)

    def settle_outgoing(self, delivery_id: int) -> None:
        self.send(Disposition(SENDER, delivery_id, delivery_id, True))

    # What the connection calls.

    def handle(self, frame: Frame) -> None:
        """Raises: AmqpError that costs the connection; session and link faults end here."""
        if self.is_ended:
            return
        try:
            self._dispatch(frame)
        except SessionError as error:
            self.end(Error(error.condition, str(error)))

    def resume(self) -> None:
        """The connection has room again."""
        for link in list(self.links.values()):
            if isinstance(link, OutgoingLink) and link.is_attached:
                self._guard(link, link.resume)

    def check_grants(self) -> None:
        """Detach the links whose token has expired."""
        grants = self.connection.grants
        for link in list(self.links.values()):
            if link.is_attached and link.needs_grant and not grants.cover(link.address):
                link.detach(Error(UNAUTHORIZED, "The token has expired."))

    def end(self, error: Error | None = None) -> None:
        self.release()
        self.send(End(error))
        self.is_ended = True

    def release(self) -> None:
        """Every handler hears that its link is gone."""
        links, self.links = list(self.links.values()), {}
        for link in links:
            link.release()

    def _dispatch(self, frame: Frame) -> None:
        body = frame.body
        if isinstance(body, Transfer):
            self._on_transfer(body, frame.payload)
        elif isinstance(body, Flow):
            self._on_flow(body)
        elif isinstance(body, Disposition):
            self._on_disposition(body)
        elif isinstance(body, Attach):
            self._on_attach(body)
        elif isinstance(body, Detach):
            self._on_detach(body)

    def _on_transfer(self, transfer: Transfer, payload: bytes) -> None:
        if self._incoming_window <= 0:
            raise SessionError("more transfers than granted", "amqp:session:window-violation")
        self._incoming_window -= 1
        self._next_incoming_id = (self._next_incoming_id + 1) % SERIAL
        link = self._link(int(transfer.handle))
        if link.is_attached:
            if not isinstance(link, IncomingLink):
                raise SessionError("a transfer to a sender", "amqp:not-allowed")
            self._guard(link, lambda: link.on_transfer(transfer, payload))
        if self._incoming_window <= INCOMING_WINDOW // 2:
            self.send_flow()

    def _on_flow(self, flow: Flow) -> None:
        seen = int(flow.next_incoming_id or 0)
        window = (seen + int(flow.incoming_window) - self._next_outgoing_id) % SERIAL
        self._remote_window = window if window < SERIAL // 2 else 0
        if flow.handle is not None:
            link = self._link(int(flow.handle))
            if isinstance(link, (IncomingLink, OutgoingLink)) and link.is_attached:
                on_flow = link.on_flow
                self._guard(link, lambda: on_flow(flow))
        elif flow.echo:
            self.send_flow()
        self.resume()

    def _on_disposition(self, disposition: Disposition) -> None:
        if disposition.role != RECEIVER:
            return  # settling what we have settled already
        first = int(disposition.first)
        last = first if disposition.last is None else int(disposition.last)
        for link in list(self.links.values()):
            if isinstance(link, OutgoingLink):
                link.on_disposition(
                    link.unsettled_between(first, last), disposition.state, disposition.settled
                )
        self.resume()

    def _on_detach(self, detach: Detach) -> None:
        link = self._link(int(detach.handle))
        del self.links[link.handle]
        if link.is_attached:
            link.release()
            self.send(Detach(link.handle, detach.closed))

    def _link(self, handle: int) -> Link:
        link = self.links.get(handle)
        if link is None:
            raise SessionError("no link has this handle", "amqp:session:unattached-handle")
        return link

    def _guard(self, link: Link, action: Callable[[], None]) -> None:
        try:
            action()
        except LinkError as error:
            link.detach(error.told())

    def _on_attach(self, attach: Attach) -> None:
        if attach.handle > HANDLE_MAX:
            raise AmqpError("a handle above handle-max", "amqp:connection:framing-error")
        if int(attach.handle) in self.links:
            raise SessionError("the handle is in use", "amqp:session:handle-in-use")
        try:
            open_link(self, attach)
        except LinkError as error:
            refuse_link(self, attach, error)
