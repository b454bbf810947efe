"""Links on which the peer receives: whole messages go out as credit and windows allow.

Source: AMQP 1.0 part 2 "Transport", sections 2.6.7 (flow control) and 2.6.12 (transfer).
"""

from __future__ import annotations

import uuid
from collections import deque
from typing import TYPE_CHECKING, Protocol

from host_tools.hub.endpoints.amqp_link import SERIAL, Link
from host_tools.hub.wire.amqp_message import Message, build_message
from host_tools.hub.wire.amqp_performatives import UNSETTLED, Attach, Flow, Received, Transfer

if TYPE_CHECKING:
    from host_tools.hub.endpoints.amqp_session import Session

# Deliveries sent on one link and not settled yet: a peer that never settles costs this many.
MAX_UNSETTLED = 1000


class Sender(Protocol):
    """What stands behind a link on which the peer receives."""

    def on_credit(self) -> None:
        """`link.send` may be possible (again). Raises: LinkError."""

    def on_settled(self, delivery_id: int, state: object) -> None:
        """The peer told an outcome: Accepted, Rejected, Released, Modified, or None."""

    def on_detach(self) -> None:
        """The link is gone, whatever the reason; called once."""


class OutgoingLink(Link):
    """Sends whole messages, in order, as credit, window and the connection allow."""

    def __init__(self, session: Session, attach: Attach, address: str) -> None:
        super().__init__(session, attach, address)
        self.handler: Sender | None = None
        self.sends_settled = attach.snd_settle_mode != UNSETTLED
        self._delivery_count = 0
        self._credit = 0
        self._unsettled: set[int] = set()
        self._queue: deque[tuple[int, bytes]] = deque()
        self._offset = 0  # within the message at the head of the queue
        self._drains = False

    @property
    def can_send(self) -> bool:
        """Whether one more message would go out at once: what a pulling Sender asks."""
        return (
            self.is_attached
            and not self._queue
            and self._credit > 0
            and len(self._unsettled) < MAX_UNSETTLED
            and self.session.can_transfer
        )

    @property
    def queued(self) -> int:
        return len(self._queue)

    def send(self, message: Message) -> int:
        """Queue a message. Returns: the delivery id that `on_settled` will name."""
        payload = build_message(message)
        delivery_id = self.session.next_delivery_id()
        if not self.sends_settled:
            self._unsettled.add(delivery_id)
        self._queue.append((delivery_id, payload))
        self.pump()
        return delivery_id

    def pump(self) -> None:
        """Send what may be sent. A message that has begun needs no further credit."""
        while self._queue and self.session.can_transfer:
            if self._offset == 0 and not self._take_credit():
                return
            self._send_chunk(*self._queue[0])

    def on_flow(self, flow: Flow) -> None:
        """Raises: LinkError, from the handler."""
        if flow.link_credit is not None:
            seen = int(flow.delivery_count or 0)
            limit = (seen + int(flow.link_credit) - self._delivery_count) % SERIAL
            self._credit = limit if limit < SERIAL // 2 else 0
        self._drains = bool(flow.drain)
        self.resume()
        if self._drains and self._credit > 0 and not self._queue:
            self._delivery_count = (self._delivery_count + self._credit) % SERIAL
            self._credit = 0
            self.send_flow()
        elif flow.echo:
            self.send_flow()

    def resume(self) -> None:
        """Room again, of whatever kind: first what is queued, then what the handler has."""
        self.pump()
        if self.can_send and self.handler is not None:
            self.handler.on_credit()

    def send_flow(self) -> None:
        self.session.send_flow(self.handle, self._delivery_count, self._credit, self._drains)

    def on_disposition(self, delivery_ids: set[int], state: object, settled: bool) -> None:
        if isinstance(state, Received) and not settled:
            return  # how far the peer has read, not how it ended
        for delivery_id in sorted(self._unsettled & delivery_ids):
            self._unsettled.discard(delivery_id)
            if not settled:
                self.session.settle_outgoing(delivery_id)
            if self.handler is not None:
                self.handler.on_settled(delivery_id, state)

    def unsettled_between(self, first: int, last: int) -> set[int]:
        """Never walks the peer's range, which may span 2^32."""
        span = (last - first) % SERIAL
        return {each for each in self._unsettled if (each - first) % SERIAL <= span}

    def _take_credit(self) -> bool:
        if self._credit <= 0:
            return False
        self._credit -= 1
        self._delivery_count = (self._delivery_count + 1) % SERIAL
        return True

    def _send_chunk(self, delivery_id: int, payload: bytes) -> None:
        size = self.session.max_chunk_bytes
        chunk = payload[self._offset : self._offset + size]
        has_more = self._offset + size < len(payload)
        transfer = Transfer(self.handle, settled=self.sends_settled, more=has_more)
        if self._offset == 0:
            transfer.delivery_id = delivery_id
            # .NET's client wants tags of 16 bytes.
            transfer.delivery_tag = uuid.uuid4().bytes
            transfer.message_format = 0
        self._offset += size
        if not has_more:
            self._offset = 0
            self._queue.popleft()
        self.session.send_transfer(transfer, chunk)

    def _tell_handler(self) -> None:
        self._queue.clear()
        self._unsettled.clear()
        if self.handler is not None:
            self.handler.on_detach()
